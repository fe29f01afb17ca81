import {
  ClosedError,
  type ErrorCode,
  HeddleError,
  LimitError,
  MESSAGE_BYTES_MAX,
  ProtocolError,
  TimeoutError,
  UnavailableError,
} from "@heddle/kernel";
import {
  type Link,
  type Listening,
  type Route,
  type RpcClient,
  type RpcServer,
  rpcError,
  type StreamMethod,
  thisUser,
  type UnaryMethod,
} from "@heddle/port-rpc";
import { Connection } from "./connection.ts";
import type { Life } from "./life.ts";
import type { Network } from "./network.ts";

/** A dial that nobody answers is given up after this long, as adapters do. */
const DIAL_MS = 5_000;
/** First port of those that are given out for port 0. */
const FREE_PORTS_FROM = 40_000;

type AnyLink = Link<never, never>;
type AnyMethod = StreamMethod<never, never>;
/** What became of a question: the encoded response, or why there is none. */
type Answer = { readonly bytes: Uint8Array } | { readonly error: ErrorReply };

/** An error as it travels: what a wire keeps of it. */
interface ErrorReply {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A dial under way. */
interface Attempt {
  readonly method: AnyMethod;
  readonly address: string;
  /** Opened, failed, timed out or aborted. */
  isSettled: boolean;
  readonly opened: (link: AnyLink) => void;
  readonly failed: (error: unknown) => void;
}

/** A first packet to an address. */
interface Knock {
  readonly address: string;
  readonly what: string;
  readonly bytes?: Uint8Array;
  readonly refused: (error: HeddleError) => void;
  /** Runs at the server. */
  readonly reached: (server: ProcessRpc) => void;
}

/** Both halves of an Rpc for one process of the simulated network. Every message is really encoded and decoded. */
export class ProcessRpc implements RpcClient, RpcServer {
  readonly #network: Network;
  readonly #life: Life;
  /** Routes and live links by address, as clients say it. */
  readonly #listeners = new Map<string, { readonly routes: readonly Route[]; readonly links: Set<AnyLink> }>();
  readonly #dialled = new Set<AnyLink>();
  #nextFreePort = FREE_PORTS_FROM;
  #isClosed = false;

  constructor(network: Network, life: Life) {
    this.#network = network;
    this.#life = life;
  }

  dial<Request, Response>(
    method: StreamMethod<Request, Response>,
    address: string,
    signal: AbortSignal,
  ): Promise<Link<Request, Response>> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#isClosed) return Promise.reject(new ClosedError("the client is closed"));
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        if (attempt.isSettled) return;
        attempt.isSettled = true;
        timer[Symbol.dispose]();
        signal.removeEventListener("abort", aborted);
        end();
      };
      const attempt: Attempt = {
        method: method as unknown as AnyMethod,
        address,
        isSettled: false,
        opened: (link) => settle(() => resolve(link as unknown as Link<Request, Response>)),
        failed: (error) => settle(() => reject(error)),
      };
      const aborted = (): void => attempt.failed(signal.reason);
      const late = (): void => attempt.failed(new UnavailableError(`${address} did not answer within ${DIAL_MS} ms`));
      const timer = this.#life.post(DIAL_MS, "dial timer", late);
      signal.addEventListener("abort", aborted, { once: true });
      this.#startDial(attempt);
    });
  }

  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    address: string,
    request: Request,
    options: { readonly timeoutMs: number },
  ): Promise<Response> {
    if (this.#isClosed) return Promise.reject(new ClosedError("the client is closed"));
    const { path } = method;
    const bytes = method.request.encode(request).finish().slice();
    if (bytes.length > MESSAGE_BYTES_MAX) {
      return Promise.reject(new LimitError("MESSAGE_BYTES_MAX", MESSAGE_BYTES_MAX, bytes.length));
    }
    return new Promise((resolve, reject) => {
      const settle = (answer: Answer | HeddleError): void => {
        timer[Symbol.dispose]();
        if (answer instanceof HeddleError) reject(answer);
        else if ("error" in answer) reject(rpcError(answer.error.code, answer.error.message));
        else resolve(method.response.decode(answer.bytes));
      };
      const late = (): void => settle(new TimeoutError(`${path} at ${address} took more than ${options.timeoutMs} ms`));
      const timer = this.#life.post(options.timeoutMs, "call timer", late);
      this.#knock({
        address,
        what: `call ${path}`,
        bytes,
        refused: settle,
        reached: (server) => server.#serveCall(this, { address, path, bytes }, settle),
      });
    });
  }

  listen(address: string, routes: readonly Route[]): Promise<Listening> {
    const served = this.#bind(address);
    if (this.#listeners.has(served)) return Promise.reject(new UnavailableError(`${served} is in use`));
    const listener = { routes, links: new Set<AnyLink>() };
    this.#listeners.set(served, listener);
    return Promise.resolve({
      address: served,
      [Symbol.asyncDispose]: async () => {
        if (this.#listeners.get(served) === listener) this.#listeners.delete(served);
        await closeAll(listener.links);
      },
    });
  }

  /** Closes what this process dialled and refuses more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await closeAll(this.#dialled);
  }

  #startDial(attempt: Attempt): void {
    this.#knock({
      address: attempt.address,
      what: `dial ${attempt.method.path}`,
      refused: attempt.failed,
      reached: (server) => server.#accept(this, attempt),
    });
  }

  /** A dial has arrived here. */
  #accept(dialer: ProcessRpc, attempt: Attempt): void {
    const { address, method } = attempt;
    const listener = this.#listeners.get(address);
    const route = listener?.routes.find((each) => each.kind === "stream" && each.method.path === method.path);
    if (listener === undefined || route?.kind !== "stream") {
      const error = listener === undefined ? refusedError(address) : unservedError(address, method.path);
      dialer.#hear(this, "dial refused", () => attempt.failed(error));
      return;
    }
    if (!dialer.#life.alive) return;
    const connection = new Connection(
      this.#network,
      { id: this.#network.nextLinkId(), path: method.path },
      { life: dialer.#life, out: method.request, in: method.response },
      { life: this.#life, out: route.method.response, in: route.method.request },
    );
    this.#network.add(connection);
    dialer.#expect(connection, attempt);
    keepWhileOpen(listener.links, connection.acceptor);
    connection.carry(connection.acceptor, { type: "accepted" });
    route.accept(connection.acceptor);
  }

  /** The server has made a connection for this dial: it counts once its first packet is here. */
  #expect(connection: Connection, attempt: Attempt): void {
    const link = connection.dialer;
    link.whenOpened(() => {
      if (attempt.isSettled) {
        connection.sever("the dial was given up");
        return;
      }
      keepWhileOpen(this.#dialled, link);
      attempt.opened(link);
    });
    void link.closed.then(({ cause }) => attempt.failed(new UnavailableError(`${attempt.address}: reset`, { cause })));
  }

  /** A question has arrived here. */
  #serveCall(
    caller: ProcessRpc,
    question: { readonly address: string; readonly path: string; readonly bytes: Uint8Array },
    settle: (answer: Answer | HeddleError) => void,
  ): void {
    const { address, path } = question;
    const gone = this.#life.onEnd((silent) => {
      if (!silent) caller.#hear(this, `call ${path} reset`, () => settle(refusedError(address)));
    });
    void this.#answer(question).then((answer) => {
      gone[Symbol.dispose]();
      if (this.#life.alive) caller.#hear(this, `answer ${path}`, () => settle(answer));
    });
  }

  async #answer(question: {
    readonly address: string;
    readonly path: string;
    readonly bytes: Uint8Array;
  }): Promise<Answer> {
    try {
      const routes = this.#listeners.get(question.address)?.routes;
      if (routes === undefined) throw refusedError(question.address);
      const route = routes.find((each) => each.kind === "unary" && each.method.path === question.path);
      if (route?.kind !== "unary") throw unservedError(question.address, question.path);
      const response = await route.answer(route.method.request.decode(question.bytes), thisUser);
      return { bytes: route.method.response.encode(response).finish().slice() };
    } catch (error) {
      return { error: replyOf(error) };
    }
  }

  /** Brings a packet to the process at an address, or learns that there is none. In a partition, or of a silent machine, nothing is learnt. */
  #knock(knock: Knock): void {
    const from = this.#life.machine;
    const server = this.#network.serverAt(knock.address);
    const to = server === undefined ? from : server.#life.machine;
    if (this.#network.isParted(from, to) || server?.isSilent) return;
    if (server === undefined || !server.#life.alive || this.#network.refuses()) {
      const refuse = (): void => knock.refused(refusedError(knock.address));
      this.#life.post(this.#network.delayMs(from, to), `${knock.what} refused`, refuse);
      return;
    }
    const gone = server.#life.onEnd((silent) => {
      if (!silent) this.#hear(server, `${knock.what} refused`, () => knock.refused(refusedError(knock.address)));
    });
    const arrive = (): void => {
      gone[Symbol.dispose]();
      knock.reached(server);
    };
    server.#life.post(this.#network.delayMs(from, to), `${knock.what} from ${this.#life.name}`, arrive, knock.bytes);
  }

  /** Brings word from `server` to this process, unless the way is blocked. */
  #hear(server: ProcessRpc, what: string, run: () => void): void {
    const [from, to] = [server.#life.machine, this.#life.machine];
    if (!this.#network.isParted(from, to)) this.#life.post(this.#network.delayMs(from, to), what, run);
  }

  /** Its machine lost power: it will not even refuse. */
  get isSilent(): boolean {
    return this.#life.endedSilently;
  }

  /** The address as clients must say it: this machine's name and a port. */
  #bind(address: string): string {
    const port = Number(address.slice(address.lastIndexOf(":") + 1));
    return `${this.#life.machine.name}:${port === 0 ? this.#nextFreePort++ : port}`;
  }
}

/** What a server says of an error that an answer threw; anything but a HeddleError is "internal". */
function replyOf(error: unknown): ErrorReply {
  if (error instanceof HeddleError) return { code: error.code, message: error.message };
  return { code: "internal", message: error instanceof Error ? error.message : String(error) };
}

function refusedError(address: string): UnavailableError {
  return new UnavailableError(`${address}: connection refused`);
}

function unservedError(address: string, path: string): ProtocolError {
  return new ProtocolError(`${address} does not serve ${path}`);
}

function keepWhileOpen(links: Set<AnyLink>, link: AnyLink): void {
  links.add(link);
  void link.closed.then(() => links.delete(link));
}

async function closeAll(links: ReadonlySet<AnyLink>): Promise<void> {
  await Promise.all([...links].map((link) => link[Symbol.asyncDispose]()));
}
