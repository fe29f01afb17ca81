import { Server, ServerCredentials } from "@grpc/grpc-js";
import { type Address, isLocal, type Logger, PermissionError, parseAddress } from "@heddle/kernel";
import type { AccessTable, Listening, Route, RpcServer, TlsFiles } from "@heddle/port-rpc";
import { bindable, formatAddress } from "./addresses.ts";
import { openAudit } from "./audit.ts";
import { bind, tryAddress } from "./bind.ts";
import { Connections, type Door } from "./connections.ts";
import { Guard } from "./guard.ts";
import { addHealth, addReflection, reflectionPaths } from "./introspection.ts";
import { HANDSHAKE_TIMEOUT_MS, TCP_WINDOW_BYTES } from "./limits.ts";
import { type ConnectionAge, SERVER_LIMITS, type ServerLimits, serverOptions, silenceGrpc } from "./options.ts";
import type { ServerToken } from "./proof.ts";
import { TlsServerCredentials } from "./server-credentials.ts";
import { Serving } from "./serving.ts";
import { watchTls } from "./tls-material.ts";
import { tuneServer } from "./windows.ts";

/** Where servers keep the secrets by which their user's other programs are known to them. */
export interface LocalTokens {
  /** The token of the server at `address`, `host:port`, kept where this user's programs find it until disposed. */
  keep(address: string): { readonly token: string } & Disposable;
}

/** Settings of a server. */
export interface GrpcServerOptions {
  readonly log: Logger;
  /** Which roles may call what. Whoever runs as the user of the server may call everything. */
  readonly access: AccessTable;
  /**
   * Speak TLS over TCP, and talk to nobody who has no certificate of the same authority. The files are watched: a connection is made with
   * what is good in them then. Without them a server listens at unix sockets and at loopback addresses alone.
   */
  readonly tls?: TlsFiles;
  /** Time between two looks at those files. For tests alone. */
  readonly tlsPollMs?: number;
  /** Needed at loopback addresses without `tls`: who calls must prove to know the token. */
  readonly tokens?: LocalTokens;
  /** The FileDescriptorSet that reflection shows: its bytes, or the path of its file. */
  readonly descriptorSet: Uint8Array | string;
  /** Full names of the services that grpc.health.v1 knows, beside the server as a whole (the empty name). */
  readonly healthServices?: readonly string[];
  /** How long connections may live. Default 30 minutes, then a minute of grace. */
  readonly connectionAge?: Partial<ConnectionAge>;
  /** Flow-control window over TCP. For tests alone: default 1 MiB, larger ones can stall. */
  readonly tcpWindowBytes?: number;
  /** For tests alone. */
  readonly limits?: Partial<ServerLimits>;
}

/**
 * A server of streams and questions over gRPC; health and reflection are served beside them. A unix socket, which its user alone can
 * reach, is as it is; TCP is mutual TLS where there are `tls` files, or loopback with a token. `listen` rejects with PermissionError
 * where neither can be, and with what is wrong where the files are no good.
 */
export function createGrpcServer(options: GrpcServerOptions): RpcServer {
  silenceGrpc();
  return { listen: (address, routes) => listen(options, address, routes) };
}

/** Throws what `listen` would reject with before it takes the address: for one that is none, or that other machines can reach without TLS. */
export function checkListen(address: string, options: Pick<GrpcServerOptions, "tls" | "tokens">): void {
  doorAt(bindable(parseAddress(address)), options);
}

/** The same, and rejects with what it would reject with where the address is taken: it is taken and given back at once. For who has much to do before it listens. */
export async function tryListen(text: string, options: Pick<GrpcServerOptions, "tls" | "tokens">): Promise<void> {
  checkListen(text, options);
  await tryAddress(bindable(parseAddress(text)));
}

async function listen(options: GrpcServerOptions, text: string, routes: readonly Route[]): Promise<Listening> {
  const address = bindable(parseAddress(text));
  const door = doorAt(address, options);
  const limits = { ...SERVER_LIMITS, ...options.limits };
  const opened = new DisposableStack();
  try {
    const audit = opened.use(openAudit(options.log));
    const connections = new Connections(door, audit, limits);
    let token: ServerToken | undefined;
    const streams = routes.filter(({ kind }) => kind === "stream").map(({ method }) => method.path);
    const guard = new Guard({
      access: options.access,
      connections,
      audit,
      token: () => token,
      streamPaths: new Set([...streams, ...reflectionPaths]),
      questionTimeoutMs: limits.questionTimeoutMs,
      callerStreamsMax: limits.callerStreamsMax,
    });
    const server = new Server(serverOptions(options.connectionAge));
    opened.defer(() => server.forceShutdown());
    tuneServer(server, { tcpWindowBytes: options.tcpWindowBytes ?? TCP_WINDOW_BYTES, connections, guard });
    const health = addHealth(server, options.healthServices ?? []);
    addReflection(server, options.descriptorSet);
    const serving = new Serving({ log: options.log, server, connections, health, guard, opened });
    for (const route of routes) serving.add(route);
    const bound = formatAddress(await bind(server, address, credentialsOf(options, door, opened)));
    // In the turn in which the address was had, so before a request can come; not before, because the address may be another server's.
    const sinceMs = Date.now();
    if (door === "token" && options.tokens !== undefined) {
      token = { text: opened.use(options.tokens.keep(bound)).token, sinceMs };
    }
    return { address: bound, [Symbol.asyncDispose]: () => serving.stop() };
  } catch (error) {
    opened.dispose();
    throw error;
  }
}

function doorAt(address: Address, { tls, tokens }: Pick<GrpcServerOptions, "tls" | "tokens">): Door {
  if (address.kind === "unix") return "unix";
  if (tls !== undefined) return "tls";
  const here = formatAddress(address);
  if (!isLocal(address)) {
    throw new PermissionError(
      `refusing to listen at ${here} without TLS, because other machines can reach it: make certificates with heddle certs init and ` +
        "name their directory with --tls-dir, or listen at 127.0.0.1, [::1] or unix:/path",
    );
  }
  if (tokens !== undefined) return "token";
  throw new PermissionError(
    `refusing to listen at ${here} without a token or TLS, because other users of this machine can reach it: give tokens, name a ` +
      "directory of certificates with --tls-dir, or listen at unix:/path",
  );
}

function credentialsOf(options: GrpcServerOptions, door: Door, opened: DisposableStack): ServerCredentials {
  const { tls, tlsPollMs, log } = options;
  if (door !== "tls" || tls === undefined) return ServerCredentials.createInsecure();
  const material = opened.use(
    watchTls(tls, { log, isServer: true, ...(tlsPollMs === undefined ? {} : { pollMs: tlsPollMs }) }),
  );
  return new TlsServerCredentials(material, options.limits?.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS);
}
