import { LimitError, type Logger, StateError } from "@heddle/kernel";
import {
  type AcceptorOptions,
  type Audit,
  type Caller,
  CallerQuota,
  callerText,
  type Goodbye,
  type Link,
  type MessageCodec,
  type Route,
  type RpcClient,
  SessionAcceptor,
  streamRoute,
  thisUser,
  type UnaryMethod,
  unaryRoute,
} from "@heddle/port-rpc";
import {
  type BreakLockRequest,
  type BreakLockResponse,
  objectsAdminBreakLock,
  objectsAdminDescribeLock,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminListObjects,
  objectsAdminListSessions,
  objectsOperate,
  sessionsKeepAlive,
} from "@heddle/wire";
import { CALLER_MANAGER_STREAMS_MAX, MANAGER_CALL_TIMEOUT_MS, MANAGER_STREAMS_MAX } from "./limits.ts";

/** Where the fabric's manager is, and how to get there. */
export interface ManagerPlace {
  readonly address: string;
  readonly client: RpcClient;
}

/** Of what a caller says in text, in a line of the log; cut there. */
const LOGGED_LENGTH_MAX = 200;

/** Messages that are handed on as they come: nobody here reads them. */
const opaque: MessageCodec<unknown> = {
  encode: (message) => ({ finish: () => message as Uint8Array }),
  decode: (bytes) => bytes,
};

const streams = [objectsOperate, sessionsKeepAlive].map(({ path }) => ({ path, request: opaque, response: opaque }));
const questions = [
  objectsAdminListObjects,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminDescribeLock,
  objectsAdminListSessions,
].map(({ path }): UnaryMethod<unknown, unknown> => ({ path, request: opaque, response: opaque }));

/**
 * Serves what the manager serves, for those who can reach the coordinator alone: streams and questions go through it unread, but for those that
 * take something from somebody, which are logged. The manager knows who asks as this coordinator: what a caller may ask is decided here.
 */
export class ManagerRelay {
  readonly routes: readonly Route[];
  readonly #manager: ManagerPlace;
  readonly #log: Logger;
  readonly #audit: Audit;
  readonly #closing = new AbortController();
  /** Both ends of what goes through. */
  readonly #links = new Set<Link<unknown, unknown>>();
  readonly #quota = new CallerQuota({
    limitName: "CALLER_MANAGER_STREAMS_MAX",
    max: CALLER_MANAGER_STREAMS_MAX,
    what: "streams to the manager",
  });
  #streams = 0;

  constructor(manager: ManagerPlace, log: Logger, audit: Audit) {
    this.#manager = manager;
    this.#log = log;
    this.#audit = audit;
    this.routes = [
      ...streams.map((method) => streamRoute(method, (link) => void this.#relay(method, link))),
      ...questions.map((method) => unaryRoute(method, (request) => this.#ask(method, request))),
      unaryRoute(objectsAdminBreakLock, (request, caller) => this.#breakLock(request, caller)),
    ];
  }

  /** Ends every stream that goes through, and takes no more. */
  async close(): Promise<void> {
    this.#closing.abort(new StateError("the coordinator is stopping"));
    await Promise.all([...this.#links].map((link) => link[Symbol.asyncDispose]()));
  }

  #breakLock(request: BreakLockRequest, { role, name }: Caller): Promise<BreakLockResponse> {
    const object = request.object.slice(0, LOGGED_LENGTH_MAX);
    const reason = request.reason.slice(0, LOGGED_LENGTH_MAX);
    this.#log.info("the manager is asked to break a lock", { object, role, name, reason });
    return this.#ask(objectsAdminBreakLock, request);
  }

  #ask<Request, Response>(method: UnaryMethod<Request, Response>, request: Request): Promise<Response> {
    const { client, address } = this.#manager;
    return client.call(method, address, request, { timeoutMs: MANAGER_CALL_TIMEOUT_MS });
  }

  /** A stream through here: when one end is over, so is the other. Its dialer tries again, whatever the reason. */
  async #relay(method: (typeof streams)[number], near: Link<unknown, unknown>): Promise<void> {
    if (this.#streams >= MANAGER_STREAMS_MAX || this.#closing.signal.aborted) return near[Symbol.asyncDispose]();
    const place = this.#place(method, near);
    if (place === undefined) return near[Symbol.asyncDispose]();
    this.#streams++;
    this.#links.add(near);
    const over = new AbortController();
    void near.closed.then(() => over.abort(new StateError("the stream is over")));
    try {
      const signal = AbortSignal.any([over.signal, this.#closing.signal]);
      const far = await this.#manager.client.dial(method, this.#manager.address, signal);
      this.#links.add(far);
      await Promise.all([pump(near, far), pump(far, near)]);
      this.#links.delete(far);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!over.signal.aborted) this.#log.warn("the manager cannot be reached", { path: method.path, message });
      await near[Symbol.asyncDispose]();
    } finally {
      this.#links.delete(near);
      this.#streams--;
      place[Symbol.dispose]();
    }
  }

  /** The stream's place in the quota of its caller. Undefined: there is none, and who can hear it was told so. */
  #place({ path }: (typeof streams)[number], near: Link<unknown, unknown>): Disposable | undefined {
    const { caller = thisUser } = near;
    try {
      return this.#quota.take(caller);
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
      const { code, message } = error;
      this.#audit.refused({ peer: near.peer, who: callerText(caller), path, why: message });
      if (path === objectsOperate.path) near.send(goodbyeFrame({ code, message }));
      return undefined;
    }
  }
}

/** As the first word on a stream of a session: it is refused. In bytes, as everything here. */
function goodbyeFrame(goodbye: Goodbye): Uint8Array {
  const control = { kind: { $case: "goodbye" as const, value: goodbye } };
  return objectsOperate.response.encode({ sequence: 0, acknowledged: 0, control, entries: [] }).finish();
}

/** Hands on what comes, no faster than it is taken; at the end of one side the other is ended in order. */
async function pump(from: Link<unknown, unknown>, to: Link<unknown, unknown>): Promise<void> {
  for await (const message of from.incoming) if (!to.send(message)) await to.drained();
  await to[Symbol.asyncDispose]();
}

/** The same services where there is no manager: refused in words that say what is missing. */
export function withoutManager(basics: Omit<AcceptorOptions<never, never>, "onSession">): readonly Route[] {
  const refuse = (): never => {
    throw new StateError(
      "this fabric has no manager, which shared objects and locks need: start one with heddle manager and name it with " +
        "heddle coordinator --manager ADDRESS; heddle up does both",
    );
  };
  const sessions = new SessionAcceptor<never, never>({ ...basics, path: objectsOperate.path, onSession: refuse });
  return [
    streamRoute(objectsOperate, (link) => sessions.accept(link as Link<never, never>)),
    streamRoute(sessionsKeepAlive, (link) => void link[Symbol.asyncDispose]()),
    ...[...questions, objectsAdminBreakLock].map((method) => unaryRoute(method, () => Promise.resolve().then(refuse))),
  ];
}
