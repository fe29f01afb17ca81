import type { Caller } from "./caller.ts";
import type { Link } from "./link.ts";

/**
 * Turns messages of one type into bytes and back. Generated message objects satisfy it; a codec that can name large bytes instead of copying them
 * gives `pieces`, which do not change until they have left.
 */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array; pieces?(): readonly Uint8Array[] };
  decode(bytes: Uint8Array): T;
}

/** A bidirectional stream of the wire, such as Jobs.Run. `path` is `/package.Service/Method`. */
export interface StreamMethod<Request, Response> {
  readonly path: string;
  readonly request: MessageCodec<Request>;
  readonly response: MessageCodec<Response>;
}

/** A single question and answer. For control only: it costs six times a stream message. */
export interface UnaryMethod<Request, Response> {
  readonly path: string;
  readonly request: MessageCodec<Request>;
  readonly response: MessageCodec<Response>;
}

/** The calling half of an Rpc. Errors are HeddleErrors: UnavailableError, TimeoutError, ProtocolError, LimitError, ... */
export interface RpcClient extends AsyncDisposable {
  /** Opens a stream to the server at `address`; resolves once it can be written to. Rejects with UnavailableError or the signal's reason. */
  dial<Request, Response>(
    method: StreamMethod<Request, Response>,
    address: string,
    signal: AbortSignal,
  ): Promise<Link<Request, Response>>;
  /** One question. Rejects with TimeoutError after `timeoutMs`. */
  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    address: string,
    request: Request,
    options: { readonly timeoutMs: number },
  ): Promise<Response>;
}

/** What a server answers. Collect with `streamRoute` and `unaryRoute`, which keep the types of each method together. */
export type Route =
  | {
      readonly kind: "stream";
      readonly method: StreamMethod<never, never>;
      readonly accept: (link: Link<never, never>) => void;
    }
  | {
      readonly kind: "unary";
      readonly method: UnaryMethod<never, never>;
      readonly answer: (request: never, caller: Caller) => Promise<never>;
    };

/** A route for a stream: `accept` is called once for each stream that is opened and owns its link. */
export function streamRoute<Request, Response>(
  method: StreamMethod<Request, Response>,
  accept: (link: Link<Response, Request>) => void,
): Route {
  return { kind: "stream", method, accept } as unknown as Route;
}

/** A route for a question. A HeddleError that `answer` throws reaches the caller with its code and message. */
export function unaryRoute<Request, Response>(
  method: UnaryMethod<Request, Response>,
  answer: (request: Request, caller: Caller) => Promise<Response>,
): Route {
  return { kind: "unary", method, answer } as unknown as Route;
}

/** The serving half of an Rpc. */
export interface RpcServer {
  /** Serves `routes` at `address` (port 0 picks a free one). Rejects with UnavailableError when the address cannot be had. */
  listen(address: string, routes: readonly Route[]): Promise<Listening>;
}

/** A server that serves until disposed. Disposing refuses new streams at once and ends the open ones, within bounded time. */
export interface Listening extends AsyncDisposable {
  /** The address as a client must say it, with the real port. */
  readonly address: string;
}
