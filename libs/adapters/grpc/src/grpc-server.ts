import { chmod, lstat, unlink } from "node:fs/promises";
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from "@grpc/grpc-js";
import { type Address, assert, HeddleError, type Logger, parseAddress, UnavailableError } from "@heddle/kernel";
import type { Link, Listening, MessageCodec, Route, RpcServer } from "@heddle/port-rpc";
import { formatAddress, loopbackOnly } from "./addresses.ts";
import { decode, encode, raw } from "./bytes.ts";
import { GrpcLink } from "./grpc-link.ts";
import { addHealth, addReflection, type Health } from "./introspection.ts";
import { SHUTDOWN_TIMEOUT_MS, TCP_WINDOW_BYTES } from "./limits.ts";
import { type ConnectionAge, serverOptions, silenceGrpc } from "./options.ts";
import { asHeddleError, statusOfError } from "./status.ts";
import { tuneServer } from "./windows.ts";

/** Settings of a server. */
export interface GrpcServerOptions {
  readonly log: Logger;
  /** The FileDescriptorSet that reflection shows: its bytes, or the path of its file. */
  readonly descriptorSet: Uint8Array | string;
  /** Full names of the services that grpc.health.v1 knows, beside the server as a whole (the empty name). */
  readonly healthServices?: readonly string[];
  /** How long connections may live. Default 30 minutes, then a minute of grace. */
  readonly connectionAge?: Partial<ConnectionAge>;
  /** Flow-control window over TCP. For tests alone: default 1 MiB, larger ones can stall. */
  readonly tcpWindowBytes?: number;
}

/** A server of streams and questions over gRPC, for loopback addresses and unix sockets. Health and reflection are served beside them. */
export function createGrpcServer(options: GrpcServerOptions): RpcServer {
  silenceGrpc();
  return { listen: (address, routes) => listen(options, address, routes) };
}

type StreamCall = ServerDuplexStream<Buffer, Buffer>;
type AnyCodec = MessageCodec<unknown>;

async function listen(options: GrpcServerOptions, text: string, routes: readonly Route[]): Promise<Listening> {
  const address = loopbackOnly(parseAddress(text));
  const server = new Server(serverOptions(options.connectionAge));
  const sessions = tuneServer(server, options.tcpWindowBytes ?? TCP_WINDOW_BYTES);
  const health = addHealth(server, options.healthServices ?? []);
  addReflection(server, options.descriptorSet);
  const serving = new Serving(options.log, server, sessions, health);
  for (const route of routes) serving.add(route);
  const bound = await bind(server, address);
  return {
    address: formatAddress(bound),
    [Symbol.asyncDispose]: () => serving.stop(),
  };
}

/** What one `listen` started. */
class Serving {
  readonly #log: Logger;
  readonly #server: Server;
  readonly #sessions: ReadonlySet<ServerHttp2Session>;
  readonly #health: Health;
  readonly #links = new Set<AsyncDisposable>();
  #stopping: Promise<void> | undefined;

  constructor(log: Logger, server: Server, sessions: ReadonlySet<ServerHttp2Session>, health: Health) {
    this.#log = log;
    this.#server = server;
    this.#sessions = sessions;
    this.#health = health;
  }

  add(route: Route): void {
    const { path } = route.method;
    const isNew =
      route.kind === "stream"
        ? this.#server.register(path, this.#streams(route), raw.serialize, raw.deserialize, "bidi")
        : this.#server.register(path, this.#questions(route), raw.serialize, raw.deserialize, "unary");
    if (!isNew) throw new HeddleError("invalid-argument", `two routes have the path ${path}`);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Health first, so that balancers look elsewhere; then the streams in order; then what is left, by force. */
  async #stop(): Promise<void> {
    this.#health.stopServing();
    const drained = Promise.withResolvers<void>();
    await Promise.all([...this.#links].map((link) => link[Symbol.asyncDispose]()));
    this.#server.tryShutdown(() => drained.resolve());
    const timer = setTimeout(() => {
      this.#server.forceShutdown();
      for (const session of this.#sessions) session.destroy();
      drained.resolve();
    }, SHUTDOWN_TIMEOUT_MS);
    await drained.promise;
    clearTimeout(timer);
  }

  #streams(route: Extract<Route, { kind: "stream" }>): handleBidiStreamingCall<Buffer, Buffer> {
    const accept = route.accept as (link: Link<unknown, unknown>) => void;
    const { path } = route.method;
    return (call) => {
      const link = serverLink(call, path, route.method.response as AnyCodec, route.method.request as AnyCodec);
      this.#links.add(link);
      void link.closed.then(() => this.#links.delete(link));
      if (this.#stopping !== undefined) {
        link.fail(new UnavailableError("the server is shutting down"));
        return;
      }
      call.sendMetadata(new Metadata()); // the dialer waits for it
      accept(link);
    };
  }

  #questions(route: Extract<Route, { kind: "unary" }>): handleUnaryCall<Buffer, Buffer> {
    const { path } = route.method;
    const answer = route.answer as unknown as (request: unknown) => Promise<unknown>;
    return async (call, callback) => {
      try {
        const request = decode(route.method.request as AnyCodec, call.request, path);
        callback(null, encode(route.method.response as AnyCodec, await answer(request)));
      } catch (error) {
        if (!(error instanceof HeddleError)) this.#log.error("answer failed", { path, error: String(error) });
        callback(statusOfError(asHeddleError(error, path)));
      }
    };
  }
}

function serverLink(
  call: StreamCall,
  path: string,
  outgoing: AnyCodec,
  incoming: AnyCodec,
): GrpcLink<unknown, unknown> {
  const peer = call.getPeer() === "unknown" ? `unix peer of ${path}` : call.getPeer();
  const gone = (): HeddleError => new UnavailableError(`${path}: ${peer} cancelled the stream or is gone`);
  const link = new GrpcLink<unknown, unknown>({
    peer,
    call,
    outgoing,
    incoming,
    abort: (error) => call.emit("error", statusOfError(error)),
    reset: () => http2Stream(call).close(constants.NGHTTP2_CANCEL),
    connection: () => http2Stream(call).session,
    abandoned: () => undefined,
    breakage: () => (http2Stream(call).rstCode === constants.NGHTTP2_NO_ERROR ? undefined : gone()),
    errorOf: (event) => asHeddleError(event, path),
  });
  call.on("cancelled", () => link.broke(gone()));
  return link;
}

/** What grpc-js does not offer of its streams: to end one whose peer does not read, and to tell that one was reset. */
function http2Stream(call: StreamCall): ServerHttp2Stream {
  const inner: unknown = Reflect.get(call, "call");
  const stream: unknown = typeof inner === "object" && inner !== null ? Reflect.get(inner, "stream") : undefined;
  assert(stream instanceof Duplex && "close" in stream, "a grpc-js call holds its http2 stream in call.stream");
  return stream as ServerHttp2Stream;
}

async function bind(server: Server, address: Address): Promise<Address> {
  if (address.kind === "unix") await removeStaleSocket(address.path);
  const text = formatAddress(address);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(text, ServerCredentials.createInsecure(), (error, boundPort) => {
      if (error === null) resolve(boundPort);
      else reject(new UnavailableError(`cannot listen at ${text}: ${error.message}`, { cause: error }));
    });
  });
  if (address.kind === "tcp") return { ...address, port };
  await chmod(address.path, 0o600); // whoever can connect can run code
  return address;
}

/** Removes the socket file that a killed server left behind; one that somebody listens at stays, and so does any other file. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new UnavailableError(`cannot listen at unix:${path}: ${error.message}`, { cause: error });
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new UnavailableError(`cannot listen at unix:${path}: a file that is no socket is there`);
  const isStale = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
  if (isStale) await unlink(path);
}
