import { Client, credentials } from "@grpc/grpc-js";
import { isLocal, parseAddress } from "@heddle/kernel";
import type { TlsFiles, UnaryMethod } from "@heddle/port-rpc";
import { bindable, formatAddress } from "./addresses.ts";
import { raw } from "./bytes.ts";
import { createGrpcClient } from "./grpc-client.ts";
import { clientOptions, silenceGrpc } from "./options.ts";
import { errorOfStatus } from "./status.ts";

/** The tag of the answer's one field, a varint. */
const STATUS = 8;
const SERVING = 1;
const NOT_SERVING = 2;

/** grpc.health.v1 of a server as a whole: true for SERVING. Nothing of the request has to be said. */
const check: UnaryMethod<undefined, boolean> = {
  path: "/grpc.health.v1.Health/Check",
  request: { encode: () => ({ finish: () => new Uint8Array() }), decode: () => undefined },
  response: {
    encode: (isServing) => ({ finish: () => Uint8Array.of(STATUS, isServing ? SERVING : NOT_SERVING) }),
    decode: (bytes) => bytes[0] === STATUS && bytes[1] === SERVING,
  },
};

/**
 * Whether the server at `address` says that it serves. With files of TLS both prove who they are. At loopback without them nobody does: health is asked for and
 * told without proofs, so that whoever listens there may answer. Rejects with UnavailableError, TimeoutError, or as `createGrpcClient` throws.
 */
export async function askHealth(
  address: string,
  { tls, timeoutMs }: { readonly tls: TlsFiles | undefined; readonly timeoutMs: number },
): Promise<boolean> {
  const target = parseAddress(address);
  if (tls === undefined && target.kind === "tcp" && isLocal(target)) return await askInClear(address, timeoutMs);
  await using client = createGrpcClient(tls === undefined ? {} : { tls });
  return await client.call(check, address, undefined, { timeoutMs });
}

function askInClear(address: string, timeoutMs: number): Promise<boolean> {
  silenceGrpc();
  const target = bindable(parseAddress(address));
  const client = new Client(formatAddress(target), credentials.createInsecure(), clientOptions(target));
  const options = { deadline: Date.now() + timeoutMs };
  const answered = new Promise<boolean>((resolve, reject) => {
    client.makeUnaryRequest(check.path, raw.serialize, raw.deserialize, Buffer.alloc(0), options, (error, answer) => {
      if (error === null) resolve(check.response.decode(answer ?? Buffer.alloc(0)));
      else reject(errorOfStatus(error, `${check.path} at ${address}`));
    });
  });
  return answered.finally(() => client.close());
}
