/** A client that keeps to the protocol and takes all that it can get, a hundred thousand times: writes what came of that, a line of JSON. What it hoards is in `hoards`. */
import { createGrpcClient } from "@heddle/adapter-grpc";
import { systemEnvironment } from "@heddle/adapter-system";
import { dialSession, type Session, type SessionEnd, tlsFilesIn } from "@heddle/port-rpc";
import {
  decodeReplies,
  Encoding,
  encodeOperations,
  encodeValue,
  jobsRun,
  type OperateRequestEntry,
  type OperateResponseEntry,
  type Operation,
  objectsOperate,
  type Payload,
  PayloadAssembler,
  protocolVersion,
  type RunRequestEntry,
  type RunResponseEntry,
  splitPayload,
  type VerbName,
  verbOf,
} from "@heddle/wire";

const [kind = "", address = "", directory = "", given = "0"] = process.argv.slice(2);
const total = Number(given);
const env = systemEnvironment({ level: "error" });
const tls = tlsFilesIn(directory);
const client = createGrpcClient({ tls });
const version = protocolVersion("test", 24);
const TTL_MS = 30_000;
const counts = new Map<string, number>();

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

function nonce(serial: number): string {
  return process.pid.toString(16).padStart(8, "0") + serial.toString(16).padStart(24, "0");
}

/** A stream of operations. */
class Stream {
  readonly ended = Promise.withResolvers<SessionEnd>();
  readonly wire: Session<OperateRequestEntry>;
  readonly #heard: (kind: NonNullable<OperateResponseEntry["kind"]>) => void;
  readonly #assembler = new PayloadAssembler<number>();
  #lastPart = 0;
  #seq = 0;

  constructor(heard: (kind: NonNullable<OperateResponseEntry["kind"]>) => void) {
    this.#heard = heard;
    this.wire = dialSession<OperateRequestEntry, OperateResponseEntry>({
      ...{ env, client, address, version, method: objectsOperate },
      handler: {
        entries: (entries) => {
          for (const entry of entries) if (entry.kind !== undefined) this.#hear(entry.kind);
        },
        ended: (end) => this.ended.resolve(end),
      },
    });
  }

  open(serial: number): void {
    const value = { nonce: nonce(serial), ttlMs: TTL_MS, description: "hoarder" };
    this.wire.send({ kind: { $case: "openSession", value } });
  }

  ask(operations: readonly Omit<Operation, "seq">[]): void {
    const numbered = operations.map((each) => ({ ...each, seq: ++this.#seq }));
    const payload = { encoding: Encoding.UNSPECIFIED, count: numbered.length, bytes: encodeOperations(numbered) };
    const { header, parts } = splitPayload(payload, () => ++this.#lastPart);
    const value = { owner: 1, batch: header, acknowledged: [] };
    this.wire.send({ kind: { $case: "operations", value } }, header.data.length);
    for (const part of parts) this.wire.send({ kind: { $case: "part", value: part } }, part.data.length);
  }

  #hear(kind: NonNullable<OperateResponseEntry["kind"]>): void {
    this.#heard(kind);
    if (kind.$case === "replies") this.#take(this.#assembler.open(kind.value.batch as Payload, 1)?.bytes);
    else if (kind.$case === "part") this.#take(this.#assembler.add(kind.value)?.payload?.bytes);
  }

  #take(bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return;
    for (const { error } of decodeReplies(bytes))
      count(error === undefined ? "done" : `${error.code} ${error.limitName}`.trim());
  }
}

function operation(verb: VerbName, object: string, values: readonly unknown[], numbers: readonly number[]): Operation {
  return {
    ...{ seq: 0, verb: verbOf(verb), object, guards: [], operations: [], expectations: [] },
    values: values.map((value) => encodeValue(value, "value")),
    numbers: [...numbers],
  };
}

/** Asks in batches, so that the server hears of all, however many it refuses. */
async function operations(make: (at: number) => readonly Operation[], first: readonly Operation[] = []): Promise<void> {
  const opened = Promise.withResolvers<void>();
  const stream = new Stream((heard) => {
    if (heard.$case === "sessionOpened") opened.resolve();
  });
  stream.open(1);
  await Promise.race([opened.promise, stream.ended.promise]);
  if (first.length > 0) stream.ask(first);
  let asked = first.length;
  for (let at = 0; at < total; ) {
    const batch: Operation[] = [];
    for (; batch.length < 500 && at < total; at++) batch.push(...make(at));
    stream.ask(batch);
    asked += batch.length;
    await Promise.race([stream.wire.drained(), stream.ended.promise]);
  }
  const answered = (): number => [...counts.values()].reduce((sum, each) => sum + each, 0);
  /** All are answered, or all that will be. */
  const isThrough = async (): Promise<undefined> => {
    for (let [before, stillMs] = [0, 0]; answered() < asked && stillMs < 2_000; stillMs += 100) {
      await new Promise<void>((resolve) => setTimeout(resolve, 100));
      if (answered() !== before) stillMs = 0;
      before = answered();
    }
    return undefined;
  };
  const end = await Promise.race([isThrough(), stream.ended.promise]);
  if (end !== undefined) count(`ended ${JSON.stringify(end)}`);
}

/** Sessions of the manager, as many as one stream lets it have, over as many streams as it takes. */
async function sessions(): Promise<void> {
  let serial = 0;
  while (serial < total) {
    const stream = new Stream((heard) => count(heard.$case));
    const last = Math.min(total, serial + 10_000);
    while (serial < last) stream.open(++serial);
    count(`ended ${JSON.stringify(await stream.ended.promise).replace(/\d+/g, "N")}`);
  }
}

/** Clients of the coordinator, each with a stream of its own, as many to a connection as it may have. */
async function clients(): Promise<void> {
  const connections = Array.from({ length: Math.ceil(total / 200) }, () => createGrpcClient({ tls }));
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < total) {
      const serial = next++;
      const heard = Promise.withResolvers<string>();
      const wire = dialSession<RunRequestEntry, RunResponseEntry>({
        ...{ env, client: connections[Math.floor(serial / 200)] ?? client, address, version, method: jobsRun },
        handler: {
          entries: () => heard.resolve("served"),
          ended: (end) => heard.resolve(`ended ${JSON.stringify(end)}`),
        },
      });
      const value = { clientId: nonce(serial), description: "hoarder" };
      wire.send({ kind: { $case: "registerClient", value } });
      count(await heard.promise);
    }
  };
  await Promise.all(Array.from({ length: 50 }, lane));
}

const make = (name: string, spec: object): Operation => operation("create", name, [spec], []);
const hoards: Readonly<Record<string, () => Promise<void>>> = {
  sessions,
  clients,
  locks: () =>
    operations((at) => [make(`@hoard${at}`, { kind: "lock" }), operation("lock-acquire", `@hoard${at}`, [], [1])]),
  watches: () => operations(() => [operation("watch", "@seen", [], [2 ** 40, 100])], [make("@seen", { kind: "dict" })]),
};
const hoard = hoards[kind];
if (hoard === undefined) throw new Error(`no hoard of ${kind}`);
const alive = setInterval(() => undefined, 1_000); // its connections alone would not keep it
await hoard();
clearInterval(alive);
process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}\n`);
process.exit(0);
