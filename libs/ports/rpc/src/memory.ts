import {
  type Environment,
  HeddleError,
  InvalidArgumentError,
  ProtocolError,
  TimeoutError,
  UnavailableError,
} from "@heddle/kernel";
import { type Caller, thisUser } from "./caller.ts";
import type { Link } from "./link.ts";
import { type MemoryLinkPair, memoryLinkPair } from "./memory-link.ts";
import type { Listening, Route, RpcClient, RpcServer, StreamMethod, UnaryMethod } from "./rpc.ts";
import { rpcError } from "./rpc-error.ts";
import { Waiters } from "./waiters.ts";

type StreamRoute = Extract<Route, { kind: "stream" }>;
type UnaryRoute = Extract<Route, { kind: "unary" }>;
type AnyPair = MemoryLinkPair<unknown, unknown>;

/** A place where links come in. */
interface Place {
  readonly routes: ReadonlyMap<string, Route>;
  readonly pairs: Set<AnyPair>;
}

interface Dial<Request, Response> {
  readonly method: StreamMethod<Request, Response>;
  readonly address: string;
  readonly signal: AbortSignal;
  readonly caller: Caller;
}

interface Question<Request, Response> {
  readonly method: UnaryMethod<Request, Response>;
  readonly address: string;
  readonly request: Request;
  readonly timeoutMs: number;
  readonly caller: Caller;
}

/**
 * An Rpc within one process: messages are handed over by reference, never encoded, so neither side may change one afterwards.
 * Addresses are any text; `:0` at the end picks a free number. Client and server in one: a fabric needs no more than one of these.
 * The embedded fabric runs on it, and tests, which can cut and black-hole its links.
 */
export class MemoryNetwork implements RpcClient, RpcServer {
  readonly #env: Environment;
  readonly #places = new Map<string, Place>();
  readonly #blackholes = new Set<string>();
  /** Wakes what hangs in a black hole when the network is disposed. */
  readonly #disposal = new AbortController();
  #port = 0;

  constructor(env: Environment) {
    this.#env = env;
  }

  async listen(address: string, routes: readonly Route[]): Promise<Listening> {
    const name = address.endsWith(":0") ? `${address.slice(0, -1)}${++this.#port}` : address;
    if (this.#disposal.signal.aborted) throw new UnavailableError("the memory network is closed");
    if (this.#places.has(name)) throw new UnavailableError(`cannot listen at ${name}: the address is in use`);
    const byPath = new Map(routes.map((route) => [route.method.path, route]));
    if (byPath.size !== routes.length) throw new InvalidArgumentError("two routes have the same path");
    const place: Place = { routes: byPath, pairs: new Set() };
    this.#places.set(name, place);
    return {
      address: name,
      [Symbol.asyncDispose]: async () => {
        if (this.#places.get(name) === place) this.#places.delete(name);
        await Promise.all([...place.pairs].map((pair) => pair.acceptor[Symbol.asyncDispose]()));
      },
    };
  }

  /** The calling half of this network for somebody whom its servers are to know as `caller`. The network itself calls as this user. */
  as(caller: Caller): RpcClient {
    return {
      dial: (method, address, signal) => this.#dial({ method, address, signal, caller }),
      call: (method, address, request, options) => this.#call({ method, address, request, ...options, caller }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  dial<Request, Response>(
    method: StreamMethod<Request, Response>,
    address: string,
    signal: AbortSignal,
  ): Promise<Link<Request, Response>> {
    return this.#dial({ method, address, signal, caller: thisUser });
  }

  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    address: string,
    request: Request,
    options: { readonly timeoutMs: number },
  ): Promise<Response> {
    return this.#call({ method, address, request, ...options, caller: thisUser });
  }

  async #dial<Request, Response>({ method, address, signal, caller }: Dial<Request, Response>) {
    signal.throwIfAborted();
    await this.#reach(address, signal);
    const { place, route } = this.#find(address, method.path, "stream");
    const pair = memoryLinkPair<Request, Response>(`dialer of ${address}`, address, caller);
    const known = pair as unknown as AnyPair;
    place.pairs.add(known);
    void pair.over.then(() => place.pairs.delete(known));
    (route as StreamRoute).accept(pair.acceptor as unknown as Link<never, never>);
    return pair.dialer;
  }

  async #call<Request, Response>(question: Question<Request, Response>): Promise<Response> {
    const { method, address, request, timeoutMs, caller } = question;
    const { clock } = this.#env;
    const deadline = new AbortController();
    using _timer = clock.setTimer(clock.nowMs() + timeoutMs, () => {
      deadline.abort(new TimeoutError(`${method.path} at ${address} did not answer within ${timeoutMs} ms`));
    });
    await this.#reach(address, deadline.signal);
    const { route } = this.#find(address, method.path, "unary");
    const answer = (route as UnaryRoute).answer as unknown as (request: Request, caller: Caller) => Promise<Response>;
    return await Promise.race([this.#answer(method.path, () => answer(request, caller)), rejection(deadline.signal)]);
  }

  /** Breaks all links to `address`: both ends see it, what was unread is lost. Returns how many there were. */
  cut(address: string): number {
    const pairs = [...(this.#places.get(address)?.pairs ?? [])];
    for (const pair of pairs) pair.cut(new UnavailableError(`the link to ${address} was cut`));
    return pairs.length;
  }

  /** With `on`, everything on the way to and from `address` vanishes: open links go silent for good, new dials and calls hang. */
  blackhole(address: string, on: boolean): void {
    if (!on) {
      this.#blackholes.delete(address);
      return;
    }
    this.#blackholes.add(address);
    for (const pair of this.#places.get(address)?.pairs ?? []) pair.blackhole();
  }

  /** Number of links to `address` that are not over. */
  linkCount(address: string): number {
    return this.#places.get(address)?.pairs.size ?? 0;
  }

  /** Ends every link and stops listening everywhere. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal.abort(new UnavailableError("the memory network is closed"));
    const pairs = [...this.#places.values()].flatMap((place) => [...place.pairs]);
    this.#places.clear();
    await Promise.all(pairs.map((pair) => pair.dialer[Symbol.asyncDispose]()));
  }

  /** Hangs while `address` is a black hole. */
  async #reach(address: string, signal: AbortSignal): Promise<void> {
    if (this.#blackholes.has(address)) await new Waiters().wait(AbortSignal.any([signal, this.#disposal.signal]));
  }

  #find(address: string, path: string, kind: Route["kind"]): { place: Place; route: Route } {
    this.#disposal.signal.throwIfAborted();
    const place = this.#places.get(address);
    if (place === undefined) throw new UnavailableError(`nobody listens at ${address}`);
    const route = place.routes.get(path);
    if (route?.kind !== kind) throw new ProtocolError(`${address} does not serve ${path}`);
    return { place, route };
  }

  async #answer<Response>(path: string, answer: () => Promise<Response>): Promise<Response> {
    try {
      return await answer();
    } catch (error) {
      if (error instanceof HeddleError) throw rpcError(error.code, error.message, { cause: error });
      this.#env.log.error("answer failed", { path, error: String(error) });
      throw new HeddleError("internal", `${path} failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Rejects with the signal's reason when it is aborted. */
function rejection(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  return promise;
}
