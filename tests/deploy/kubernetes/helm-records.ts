import type { KubernetesObject } from "./tools.ts";

/** What every object in protobuf begins with. */
const MAGIC = Buffer.from("k8s\0");

/** One field of a message: its number, and its bytes or the value of its varint. */
type Field = readonly [number: number, value: Buffer | number];

/** Whether a body is in Kubernetes' protobuf, as Helm sends what it keeps of releases. */
export function isProtobuf(body: Buffer): boolean {
  return body.subarray(0, MAGIC.length).equals(MAGIC);
}

/** The Secret in such a body. Throws when it is none: nothing else is sent so. */
export function secretOf(body: Buffer): KubernetesObject {
  const [, wrapped = Buffer.alloc(0)] = fieldsOf(body.subarray(MAGIC.length)).find(([number]) => number === 2) ?? [];
  const secret = fieldsOf(bytes(wrapped));
  const metadata = fieldsOf(bytes(secret.find(([number]) => number === 1)?.[1] ?? 0));
  const text = (of: readonly Field[], number: number): string =>
    bytes(of.find(([found]) => found === number)?.[1] ?? 0).toString();
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: text(metadata, 1), labels: mapOf(metadata, 11, (value) => value.toString()) },
    type: text(secret, 3),
    data: mapOf(secret, 2, (value) => value.toString("base64")),
  };
}

/** What options of a deletion are sent in; nobody needs them here. */
export function isDeleteOptions(body: Buffer): boolean {
  return isProtobuf(body) && body.includes("DeleteOptions");
}

function mapOf(fields: readonly Field[], number: number, show: (value: Buffer) => string): Record<string, string> {
  const entries = fields.filter(([found]) => found === number).map(([, value]) => fieldsOf(bytes(value)));
  const part = (entry: readonly Field[], of: number): Buffer => bytes(entry.find(([found]) => found === of)?.[1] ?? 0);
  return Object.fromEntries(entries.map((entry) => [part(entry, 1).toString(), show(part(entry, 2))]));
}

function bytes(value: Buffer | number): Buffer {
  return typeof value === "number" ? Buffer.alloc(0) : value;
}

function fieldsOf(message: Buffer): readonly Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * weight;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const type = tag & 7;
    if (type !== 0 && type !== 2) throw new Error(`a protobuf field of type ${type} at ${at}`);
    const value = varint();
    if (type === 2) {
      fields.push([tag >> 3, message.subarray(at, at + value)]);
      at += value;
    } else fields.push([tag >> 3, value]);
  }
  return fields;
}
