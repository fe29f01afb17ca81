import {
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { parseAddress, UnavailableError } from "@heddle/kernel";
import type { Link, RpcClient, StreamMethod, UnaryMethod } from "@heddle/port-rpc";
import { formatAddress } from "./addresses.ts";
import { decode, encode, raw } from "./bytes.ts";
import { GrpcLink } from "./grpc-link.ts";
import { DEADLINE_MS_MAX, DIAL_TIMEOUT_MS, TCP_WINDOW_BYTES } from "./limits.ts";
import { clientOptions, silenceGrpc } from "./options.ts";
import { errorOfStatus } from "./status.ts";
import { connectionOf, letProcessEnd } from "./unref.ts";

/** Settings of a client. */
export interface GrpcClientOptions {
  /** A dial that the server has not accepted within this time is given up. Default 5 s. */
  readonly dialTimeoutMs?: number;
  /** Flow-control window over TCP. For tests alone: default 1 MiB, larger ones can stall. */
  readonly tcpWindowBytes?: number;
}

type Call = ClientDuplexStream<Buffer, Buffer>;

/** The connection to one address. */
interface Channel {
  readonly client: Client;
  /** Streams and questions that are under way on it. */
  useCount: number;
}

/** A client of servers made by `createGrpcServer`: one connection per address, kept while it is used. */
export function createGrpcClient(options: GrpcClientOptions = {}): RpcClient {
  silenceGrpc();
  return new GrpcClient(options);
}

class GrpcClient implements RpcClient {
  readonly #dialTimeoutMs: number;
  readonly #tcpWindowBytes: number;
  readonly #channels = new Map<string, Channel>();
  readonly #links = new Set<AsyncDisposable>();
  /** Aborted when the client is closed: dials that are under way end at once. */
  readonly #disposal = new AbortController();
  #disposing: Promise<void> | undefined;

  constructor({ dialTimeoutMs = DIAL_TIMEOUT_MS, tcpWindowBytes = TCP_WINDOW_BYTES }: GrpcClientOptions) {
    this.#dialTimeoutMs = dialTimeoutMs;
    this.#tcpWindowBytes = tcpWindowBytes;
  }

  async dial<Request, Response>(
    method: StreamMethod<Request, Response>,
    address: string,
    signal: AbortSignal,
  ): Promise<Link<Request, Response>> {
    signal.throwIfAborted();
    const given = AbortSignal.any([signal, this.#disposal.signal]);
    const channel = this.#use(address);
    const call: Call = channel.client.makeBidiStreamRequest(method.path, raw.serialize, raw.deserialize);
    const what = `${method.path} at ${address}`;
    const link = clientLink(call, method, address, () => this.#drop(address, channel));
    const accepted = once(call, "metadata");
    this.#links.add(link);
    void link.closed.then(() => {
      this.#links.delete(link);
      channel.useCount--;
    });
    const abort = (): void => call.cancel();
    given.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(() => {
      link.broke(new UnavailableError(`${what}: no answer within ${this.#dialTimeoutMs} ms`));
      call.cancel();
    }, this.#dialTimeoutMs);
    const end = await Promise.race([accepted, link.closed]);
    clearTimeout(timer);
    given.removeEventListener("abort", abort);
    if (end === undefined) {
      letProcessEnd(call);
      return link;
    }
    if (end.reason === "broken") this.#dropUnused(address, channel);
    given.throwIfAborted();
    throw end.cause ?? new UnavailableError(`${what}: the server ended the stream at once`);
  }

  async call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    address: string,
    request: Request,
    options: { readonly timeoutMs: number },
  ): Promise<Response> {
    const bytes = encode(method.request, request);
    const channel = this.#use(address);
    const what = `${method.path} at ${address}`;
    try {
      return decode(method.response, await ask(channel.client, method.path, bytes, options.timeoutMs), what);
    } catch (error) {
      if (!isServiceError(error)) throw error;
      throw errorOfStatus(error, what);
    } finally {
      channel.useCount--;
      if (channel.client.getChannel().getConnectivityState(false) !== connectivityState.READY) {
        this.#dropUnused(address, channel);
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose();
    return this.#disposing;
  }

  async #dispose(): Promise<void> {
    this.#disposal.abort(new UnavailableError("the client is closed"));
    await Promise.all([...this.#links].map((link) => link[Symbol.asyncDispose]()));
    for (const { client } of this.#channels.values()) client.close();
    this.#channels.clear();
  }

  #use(address: string): Channel {
    if (this.#disposing !== undefined) throw new UnavailableError("the client is closed");
    let channel = this.#channels.get(address);
    if (channel === undefined) {
      const parsed = parseAddress(address);
      const client = new Client(
        formatAddress(parsed),
        credentials.createInsecure(),
        clientOptions(parsed, this.#tcpWindowBytes),
      );
      channel = { client, useCount: 0 };
      this.#channels.set(address, channel);
    }
    channel.useCount++;
    return channel;
  }

  /** After a failure nothing is known of the connection: the next attempt gets a new one, without gRPC's own backoff. */
  #dropUnused(address: string, channel: Channel): void {
    if (channel.useCount === 0) this.#drop(address, channel);
  }

  /** Whoever dials next gets a new connection. What uses this one may go on. */
  #drop(address: string, channel: Channel): void {
    if (this.#channels.get(address) !== channel) return;
    this.#channels.delete(address);
    channel.client.close();
  }
}

function clientLink<Request, Response>(
  call: Call,
  method: StreamMethod<Request, Response>,
  address: string,
  abandoned: () => void,
): GrpcLink<Request, Response> {
  const link = new GrpcLink<Request, Response>({
    peer: address,
    call,
    outgoing: method.request,
    incoming: method.response,
    abort: () => call.cancel(),
    reset: () => call.cancel(),
    connection: () => connectionOf(call),
    abandoned,
    breakage: () => undefined, // it comes as an error event
    errorOf: (event) => errorOfStatus(event as ServiceError, `${method.path} at ${address}`),
  });
  call.on("status", () => link.finished());
  return link;
}

function ask(client: Client, path: string, bytes: Buffer, timeoutMs: number): Promise<Buffer> {
  const deadline = Date.now() + Math.min(timeoutMs, DEADLINE_MS_MAX);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      raw.serialize,
      raw.deserialize,
      bytes,
      new Metadata(),
      { deadline },
      (error, answer) => {
        if (error !== null) reject(error);
        else resolve(answer ?? Buffer.alloc(0));
      },
    );
  });
}

function once(call: Call, event: string): Promise<undefined> {
  return new Promise((resolve) => call.once(event, () => resolve(undefined)));
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "details" in error && "metadata" in error;
}
