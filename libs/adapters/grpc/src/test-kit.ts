import { randomBytes } from "node:crypto";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";
import { silentLogger } from "@heddle/kernel";
import type { Listening, MessageCodec, Route, RpcClient, StreamMethod, UnaryMethod } from "@heddle/port-rpc";
import { createGrpcClient, type GrpcClientOptions } from "./grpc-client.ts";
import { createGrpcServer, type GrpcServerOptions } from "./grpc-server.ts";
import { makeProof, PROOF_KEY, PROOF_NONCE_BYTES } from "./proof.ts";
import { anyAccess, descriptorSet, fixedToken, testToken } from "./testing.ts";

const bytes: MessageCodec<Uint8Array> = {
  encode: (message) => ({ finish: () => message }),
  decode: (encoded) => new Uint8Array(encoded),
};

/** A stream and a question whose messages are bytes as they are. */
export const streamMethod: StreamMethod<Uint8Array, Uint8Array> = {
  path: "/test.Server/Stream",
  request: bytes,
  response: bytes,
};
export const askMethod: UnaryMethod<Uint8Array, Uint8Array> = {
  path: "/test.Server/Ask",
  request: bytes,
  response: bytes,
};

const opened: AsyncDisposable[] = [];

/** Closes what was kept, the last first. Each test file calls it after each test. */
export async function closeKept(): Promise<void> {
  for (const thing of opened.splice(0).reverse()) await thing[Symbol.asyncDispose]();
}

/** Closes `thing` when the test is over. */
export function keep<T extends AsyncDisposable>(thing: T): T {
  opened.push(thing);
  return thing;
}

/** A server that ends with the test. Over TCP its token is `testToken`, and every role may call everything. */
export async function serve(
  address = "127.0.0.1:0",
  routes: readonly Route[] = [],
  options: Partial<GrpcServerOptions> = {},
): Promise<Listening> {
  const server = createGrpcServer({
    log: silentLogger,
    descriptorSet,
    healthServices: ["heddle.v1.Jobs"],
    access: anyAccess,
    tokens: fixedToken(testToken),
    ...options,
  });
  return keep(await server.listen(address, routes));
}

/** A client that knows the token of `serve`. */
export function testClient(options: GrpcClientOptions = {}): RpcClient {
  return createGrpcClient({ token: testToken, ...options });
}

/** The header by which whoever speaks to `serve` in the raw proves for once that it knows the token. */
export function proofHeader(path: string): { [PROOF_KEY]: string } {
  return { [PROOF_KEY]: makeProof(testToken, path, Date.now(), randomBytes(PROOF_NONCE_BYTES)) };
}

/** The same as metadata. */
export function proofMetadata(path: string): Metadata {
  const metadata = new Metadata();
  metadata.set(PROOF_KEY, proofHeader(path)[PROOF_KEY]);
  return metadata;
}

/** The port of a TCP address. */
export function portOf(address: string): number {
  return Number(address.split(":").at(-1));
}

/** How a method of someone else's service is called. */
export interface ForeignMethod {
  readonly path: string;
  readonly requestSerialize: (message: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

/** A method out of what proto-loader loaded. */
export function foreignMethod(definitions: PackageDefinition, service: string, name: string): ForeignMethod {
  const methods = definitions[service] as unknown as Record<string, ForeignMethod> | undefined;
  const method = methods?.[name];
  if (method === undefined) throw new Error(`no ${service}/${name}`);
  return method;
}

/** Asks as any gRPC client would. */
export async function ask(address: string, method: ForeignMethod, request: object): Promise<unknown> {
  using client = plainClient(address);
  return await new Promise((resolve, reject) => {
    const answered = (error: ServiceError | null, answer?: unknown) =>
      error === null ? resolve(answer) : reject(error);
    client.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, request, answered);
  });
}

/** A client with gRPC's own defaults. */
export function plainClient(address: string): Client & Disposable {
  const client = new Client(address, credentials.createInsecure());
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}
