import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Clock, type Role, roles, silentLogger } from "@heddle/kernel";
import type { AccessTable, TlsFiles } from "@heddle/port-rpc";
import type { RpcFixture } from "@heddle/port-rpc/contract";
import { createGrpcClient, createGrpcServer } from "./index.ts";

export { PROOF_VALID_MS } from "./limits.ts";
export { makeProof, PROOF_KEY, PROOF_NONCE_BYTES } from "./proof.ts";
export { linkedSecret, openAuthority, type TestAuthority, type TestCertificate } from "./test-certificates.ts";
export * from "./test-frames.ts";

/** The descriptor set that `nx run @heddle/wire:gen` made. */
export const descriptorSet = new Uint8Array(
  readFileSync(fileURLToPath(import.meta.resolve("@heddle/wire").replace(/index\.ts$/, "gen/heddle.binpb"))),
);

/** What servers and clients of tests that do not care about tokens have in common. */
export const testToken = "a-token-of-tests-that-is-long-enough-to-be-found";

/** Tokens of a server that keeps the same one at every address. */
export function fixedToken(token: string): { keep(address: string): { readonly token: string } & Disposable } {
  return { keep: () => ({ token, [Symbol.dispose]: () => undefined }) };
}

class AnyAccess extends Map<string, readonly Role[]> {
  override get(): readonly Role[] {
    return roles;
  }
}

/** Every role may call everything. */
export const anyAccess: AccessTable = new AnyAccess();

/** The machine's own time. */
export function realTime(): Clock {
  return {
    nowMs: () => performance.now(),
    setTimer: (atMs, run) => {
      const timer = setTimeout(run, Math.max(0, atMs - performance.now()));
      return { [Symbol.dispose]: () => clearTimeout(timer) };
    },
  };
}

/** A relay that can be cut. Keeps no bytes: what one side says goes to the other. */
export interface Relay extends AsyncDisposable {
  readonly address: string;
  readonly cut: () => void;
  /** Connections that are open now move nothing any more, and stay open; new ones are relayed. */
  readonly freeze: () => void;
}

/**
 * Relays connections to `target`, an address of TCP or a unix socket; without one it takes them and stays silent. It listens at the unix
 * socket `path` where one is given, else at a free port.
 */
export async function openRelay(target?: string, path?: string): Promise<Relay> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    keep(near);
    if (target === undefined) return;
    const far = target.startsWith("unix:") ? connect(target.slice(5)) : connect(Number(target.split(":").at(-1)));
    keep(far);
    near.pipe(far);
    far.pipe(near);
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
  });
  const address = await listening(server, path);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const freeze = (): void => {
    for (const socket of sockets) socket.unpipe().pause();
  };
  return {
    address,
    cut,
    freeze,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}

/** The certificates of the two sides of a fixture. */
export interface FixtureTls {
  readonly server: TlsFiles;
  readonly client: TlsFiles;
}

/** A client, a server and relays between them, over unix sockets or TCP: with a token, or over mTLS where certificates are given. */
export async function grpcFixture(kind: "tcp" | "unix", tls?: FixtureTls): Promise<RpcFixture> {
  const directory = mkdtempSync(join(tmpdir(), "heddle-grpc-"));
  const log = silentLogger;
  const client = createGrpcClient(tls === undefined ? { token: testToken } : { tls: tls.client, log });
  const guard = tls === undefined ? { tokens: fixedToken(testToken) } : { tls: tls.server };
  const relays: Relay[] = [];
  let socketCount = 0;
  const socket = (): string => join(directory, `${++socketCount}.sock`);
  const relayTo = async (target?: string): Promise<string> => {
    const relay = await openRelay(target, kind === "unix" ? socket() : undefined);
    relays.push(relay);
    return relay.address;
  };
  return {
    client,
    server: createGrpcServer({ log, descriptorSet, access: anyAccess, ...guard }),
    address: () => (kind === "tcp" ? "127.0.0.1:0" : `unix:${socket()}`),
    route: relayTo,
    cut: () => {
      for (const relay of relays) relay.cut();
    },
    hole: relayTo,
    [Symbol.asyncDispose]: async () => {
      for (const relay of relays) await relay[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

function listening(server: Server, path?: string): Promise<string> {
  return new Promise((resolve) => {
    if (path !== undefined) server.listen(path, () => resolve(`unix:${path}`));
    else server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}
