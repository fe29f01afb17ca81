import { constants, type ServerHttp2Stream } from "node:http2";
import { Duplex } from "node:stream";
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  type Server,
  type ServerDuplexStream,
} from "@grpc/grpc-js";
import { assert, HeddleError, type Logger, UnavailableError } from "@heddle/kernel";
import type { Caller, Link, MessageCodec, Route } from "@heddle/port-rpc";
import { decode, encode, raw } from "./bytes.ts";
import type { Connections } from "./connections.ts";
import { GrpcLink } from "./grpc-link.ts";
import type { Admission, Guard } from "./guard.ts";
import type { Health } from "./introspection.ts";
import { SHUTDOWN_TIMEOUT_MS } from "./limits.ts";
import { PROOF_KEY } from "./proof.ts";
import { asHeddleError, statusOfError } from "./status.ts";

type StreamCall = ServerDuplexStream<Buffer, Buffer>;
type AnyCodec = MessageCodec<unknown>;

/** What a server is made of. */
export interface ServingParts {
  readonly log: Logger;
  readonly server: Server;
  readonly connections: Connections;
  readonly health: Health;
  readonly guard: Guard;
  /** What ends with the serving. */
  readonly opened: Disposable;
}

/** What one `listen` started. */
export class Serving {
  readonly #parts: ServingParts;
  readonly #links = new Set<AsyncDisposable>();
  #stopping: Promise<void> | undefined;

  constructor(parts: ServingParts) {
    this.#parts = parts;
  }

  /** Throws HeddleError when its path is taken. */
  add(route: Route): void {
    const { server } = this.#parts;
    const { path } = route.method;
    const isNew =
      route.kind === "stream"
        ? server.register(path, this.#streams(route), raw.serialize, raw.deserialize, "bidi")
        : server.register(path, this.#questions(route), raw.serialize, raw.deserialize, "unary");
    if (!isNew) throw new HeddleError("invalid-argument", `two routes have the path ${path}`);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Health first, so that balancers look elsewhere; then the streams in order; then what is left, by force. */
  async #stop(): Promise<void> {
    const { server, connections, health, opened } = this.#parts;
    health.stopServing();
    const drained = Promise.withResolvers<void>();
    await Promise.all([...this.#links].map((link) => link[Symbol.asyncDispose]()));
    server.tryShutdown(() => drained.resolve());
    const timer = setTimeout(() => {
      server.forceShutdown();
      connections.destroyAll();
      drained.resolve();
    }, SHUTDOWN_TIMEOUT_MS);
    await drained.promise;
    clearTimeout(timer);
    opened[Symbol.dispose]();
  }

  #streams(route: Extract<Route, { kind: "stream" }>): handleBidiStreamingCall<Buffer, Buffer> {
    const accept = route.accept as (link: Link<unknown, unknown>) => void;
    const { path, request, response } = route.method;
    return (call) => {
      const admission = this.#parts.guard.admissionOf(http2Stream(call));
      const link = serverLink({ call, path, caller: admission.caller, outgoing: response, incoming: request });
      this.#links.add(link);
      void link.closed.then(() => this.#links.delete(link));
      if (this.#stopping !== undefined) {
        link.fail(new UnavailableError("the server is shutting down"));
        return;
      }
      call.sendMetadata(firstMetadata(admission)); // the dialer waits for it
      accept(link);
    };
  }

  #questions(route: Extract<Route, { kind: "unary" }>): handleUnaryCall<Buffer, Buffer> {
    const { path } = route.method;
    const answer = route.answer as unknown as (request: unknown, caller: Caller) => Promise<unknown>;
    return async (call, callback) => {
      const stream = http2Stream(call);
      const { guard, log } = this.#parts;
      const admission = guard.admissionOf(stream);
      const reply: typeof callback = (error, bytes) => {
        if (admission.proof !== undefined) call.sendMetadata(firstMetadata(admission)); // an error is believed because of it, too
        callback(error, bytes);
      };
      try {
        const request = decode(route.method.request as AnyCodec, call.request, path);
        reply(null, encode(route.method.response as AnyCodec, await answer(request, admission.caller)));
      } catch (error) {
        if (!(error instanceof HeddleError)) log.error("answer failed", { path, error: String(error) });
        reply(statusOfError(asHeddleError(error, path)));
      }
      guard.expects(stream, "close");
    };
  }
}

function firstMetadata({ proof }: Admission): Metadata {
  const metadata = new Metadata();
  if (proof !== undefined) metadata.set(PROOF_KEY, proof);
  return metadata;
}

/** A stream that was admitted, and how its messages are read and written. */
interface Accepted {
  readonly call: StreamCall;
  readonly path: string;
  readonly caller: Caller;
  readonly outgoing: MessageCodec<never>;
  readonly incoming: MessageCodec<never>;
}

function serverLink({ call, path, caller, outgoing, incoming }: Accepted): GrpcLink<unknown, unknown> {
  const peer = call.getPeer() === "unknown" ? `unix peer of ${path}` : call.getPeer();
  const gone = (): HeddleError => new UnavailableError(`${path}: ${peer} cancelled the stream or is gone`);
  const link = new GrpcLink<unknown, unknown>({
    peer,
    caller,
    call,
    outgoing: outgoing as AnyCodec,
    incoming: incoming as AnyCodec,
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
function http2Stream(call: object): ServerHttp2Stream {
  const inner: unknown = Reflect.get(call, "call");
  const stream: unknown = typeof inner === "object" && inner !== null ? Reflect.get(inner, "stream") : undefined;
  assert(stream instanceof Duplex && "close" in stream, "a grpc-js call holds its http2 stream in call.stream");
  return stream as ServerHttp2Stream;
}
