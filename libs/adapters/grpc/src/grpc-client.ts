import { Client, type ClientDuplexStream, connectivityState, type Metadata, type ServiceError } from "@grpc/grpc-js";
import { type HeddleError, parseAddress, UnavailableError } from "@heddle/kernel";
import type { Link, RpcClient, StreamMethod, UnaryMethod } from "@heddle/port-rpc";
import { formatAddress } from "./addresses.ts";
import { decode, encode, raw } from "./bytes.ts";
import {
  type CallSecurity,
  type ChannelSecurity,
  ClientCredentials,
  type ClientCredentialsOptions,
} from "./client-credentials.ts";
import { Connecting, ConnectingSockets } from "./connecting.ts";
import { GrpcLink } from "./grpc-link.ts";
import { DEADLINE_MS_MAX, DIAL_TIMEOUT_MS, TCP_WINDOW_BYTES } from "./limits.ts";
import { clientOptions, silenceGrpc } from "./options.ts";
import { errorOfStatus, isUnconnected, isVerdict } from "./status.ts";
import { connectionOf, letProcessEnd } from "./unref.ts";

/** Settings of a client. */
export interface GrpcClientOptions extends ClientCredentialsOptions {
  /** A dial that the server has not accepted within this time is given up. Default 5 s. */
  readonly dialTimeoutMs?: number;
  /** Flow-control window over TCP. For tests alone: default 1 MiB, larger ones can stall. */
  readonly tcpWindowBytes?: number;
}

type Call = ClientDuplexStream<Buffer, Buffer>;

/** The status that a stream failed with, and the error that its link is over by. */
interface Failure {
  readonly status: ServiceError;
  readonly error: HeddleError;
}

/** The connection to one address. */
interface Channel {
  readonly client: Client;
  readonly security: ChannelSecurity;
  /** Streams and questions that are under way on it. */
  useCount: number;
  readonly connecting: ConnectingSockets;
  /** A server has shown on it that it is the one that was meant. */
  isBelieved: boolean;
}

/**
 * A client of servers made by `createGrpcServer`: one connection per address, kept while it is used. Socket files are dialled in clear, TCP over
 * mutual TLS or, loopback alone, in clear with proofs of a token. Throws InvalidArgumentError or AuthenticationError for TLS files that are not good.
 */
export function createGrpcClient(options: GrpcClientOptions = {}): RpcClient {
  silenceGrpc();
  return new GrpcClient(options);
}

class GrpcClient implements RpcClient {
  readonly #dialTimeoutMs: number;
  readonly #tcpWindowBytes: number;
  readonly #credentials: ClientCredentials;
  readonly #channels = new Map<string, Channel>();
  readonly #connecting = new Connecting();
  readonly #links = new Set<AsyncDisposable>();
  /** Aborted when the client is closed: dials that are under way end at once. */
  readonly #disposal = new AbortController();
  #disposing: Promise<void> | undefined;

  constructor(options: GrpcClientOptions) {
    this.#dialTimeoutMs = options.dialTimeoutMs ?? DIAL_TIMEOUT_MS;
    this.#tcpWindowBytes = options.tcpWindowBytes ?? TCP_WINDOW_BYTES;
    this.#credentials = new ClientCredentials(options);
  }

  async dial<Request, Response>(
    method: StreamMethod<Request, Response>,
    address: string,
    signal: AbortSignal,
  ): Promise<Link<Request, Response>> {
    signal.throwIfAborted();
    const given = AbortSignal.any([signal, this.#disposal.signal]);
    const { channel, security } = this.#use(address, method.path);
    const { serialize, deserialize } = raw;
    const call: Call = this.#connecting.for(channel.connecting, () =>
      channel.client.makeBidiStreamRequest(method.path, serialize, deserialize, security.metadata),
    );
    const what = `${method.path} at ${address}`;
    let failure: Failure | undefined;
    const link = clientLink(call, method, address, {
      abandoned: () => this.#drop(address, channel),
      failed: (why) => {
        failure = why;
      },
    });
    const accepted = first(call, security, (cause) => link.broke(cause));
    this.#links.add(link);
    void link.closed.then(() => {
      this.#links.delete(link);
      this.#release(address, channel);
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
      channel.isBelieved = true;
      letProcessEnd(call);
      return link;
    }
    if (end.reason === "broken") this.#dropDoubtful(address, channel);
    given.throwIfAborted();
    if (failure !== undefined && failure.error === end.cause) {
      throw await errorOf(believed(failure.status, security), { channel, security, what });
    }
    throw end.cause ?? new UnavailableError(`${what}: the server ended the stream at once`);
  }

  async call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    address: string,
    request: Request,
    options: { readonly timeoutMs: number },
  ): Promise<Response> {
    const bytes = encode(method.request, request);
    const { channel, security } = this.#use(address, method.path);
    const what = `${method.path} at ${address}`;
    try {
      const answer = await this.#connecting.for(channel.connecting, () =>
        ask(channel.client, security, method.path, bytes, options.timeoutMs),
      );
      channel.isBelieved = true;
      return decode(method.response, answer, what);
    } catch (error) {
      throw await errorOf(error, { channel, security, what });
    } finally {
      this.#release(address, channel);
      const isReady = channel.client.getChannel().getConnectivityState(false) === connectivityState.READY;
      if (!isReady || !channel.isBelieved) this.#dropDoubtful(address, channel);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose();
    return this.#disposing;
  }

  async #dispose(): Promise<void> {
    this.#disposal.abort(new UnavailableError("the client is closed"));
    await Promise.all([...this.#links].map((link) => link[Symbol.asyncDispose]()));
    for (const [address, channel] of [...this.#channels]) {
      this.#drop(address, channel);
      channel.connecting.giveUp();
    }
    this.#connecting[Symbol.dispose]();
    this.#credentials[Symbol.dispose]();
  }

  #use(address: string, path: string): { readonly channel: Channel; readonly security: CallSecurity } {
    if (this.#disposing !== undefined) throw new UnavailableError("the client is closed");
    let channel = this.#channels.get(address);
    if (channel?.security.isStale) {
      this.#drop(address, channel);
      channel = undefined;
    }
    const found = channel ?? this.#open(address);
    const security = found.security.begin(path);
    found.useCount++;
    return { channel: found, security };
  }

  #open(address: string): Channel {
    const security = this.#credentials.channelTo(parseAddress(address), address);
    const { target, credentials } = security;
    const client = new Client(formatAddress(target), credentials, clientOptions(target, this.#tcpWindowBytes));
    const channel = { client, security, useCount: 0, connecting: new ConnectingSockets(), isBelieved: false };
    this.#channels.set(address, channel);
    return channel;
  }

  /**
   * After a failure nothing is known of the connection: the next attempt gets a new one, without gRPC's own backoff. One on which no server has
   * shown itself is left even by others: who took it may have given the address back, and would pass on what it hears to the server there.
   */
  #dropDoubtful(address: string, channel: Channel): void {
    if (channel.useCount === 0 || !channel.isBelieved) this.#drop(address, channel);
  }

  /** Whoever dials next gets a new connection. What uses this one may go on. */
  #drop(address: string, channel: Channel): void {
    if (this.#channels.get(address) !== channel) return;
    this.#channels.delete(address);
    channel.client.close();
    if (channel.useCount === 0) channel.connecting.giveUp();
  }

  #release(address: string, channel: Channel): void {
    channel.useCount--;
    if (channel.useCount === 0 && this.#channels.get(address) !== channel) channel.connecting.giveUp();
  }
}

function clientLink<Request, Response>(
  call: Call,
  method: StreamMethod<Request, Response>,
  address: string,
  hooks: { readonly abandoned: () => void; readonly failed: (failure: Failure) => void },
): GrpcLink<Request, Response> {
  const link = new GrpcLink<Request, Response>({
    peer: address,
    call,
    outgoing: method.request,
    incoming: method.response,
    abort: () => call.cancel(),
    reset: () => call.cancel(),
    connection: () => connectionOf(call),
    abandoned: hooks.abandoned,
    breakage: () => undefined, // it comes as an error event
    errorOf: (event) => {
      const status = event as ServiceError;
      const error = errorOfStatus(status, `${method.path} at ${address}`);
      hooks.failed({ status, error });
      return error;
    },
  });
  call.on("status", () => link.finished());
  return link;
}

/** Resolves with the answer of a server that has shown that it is the one that was meant. */
function ask(client: Client, security: CallSecurity, path: string, bytes: Buffer, timeoutMs: number): Promise<Buffer> {
  const deadline = Date.now() + Math.min(timeoutMs, DEADLINE_MS_MAX);
  const { serialize, deserialize } = raw;
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      path,
      serialize,
      deserialize,
      bytes,
      security.metadata,
      { deadline },
      (error, answer) => {
        if (error !== null) reject(isBelieved ? error : believed(error, security));
        else if (isBelieved) resolve(answer ?? Buffer.alloc(0));
        else reject(security.disbelief());
      },
    );
    let isBelieved = false;
    call.once("metadata", (metadata: Metadata) => {
      isBelieved = security.believes(metadata);
    });
  });
}

/** Resolves when the server has taken the stream and has shown that it is the one that was meant; else the stream is `broken`. */
function first(call: Call, security: CallSecurity, broken: (cause: HeddleError) => void): Promise<undefined> {
  return new Promise((resolve) => {
    call.once("metadata", (metadata: Metadata) => {
      if (security.believes(metadata)) return resolve(undefined);
      broken(security.disbelief());
      call.cancel();
    });
  });
}

/** What a call failed with before anything had come: a verdict of a server that has not shown that it is the one that was meant is none. */
function believed(status: ServiceError, security: CallSecurity): ServiceError | HeddleError {
  return isVerdict(status) && !security.believes(status.metadata) ? security.disbelief() : status;
}

/** The error of a call that nobody has taken: what gRPC says, unless more is known. */
async function errorOf(
  failure: unknown,
  call: { readonly channel: Channel; readonly security: CallSecurity; readonly what: string },
): Promise<unknown> {
  if (!isServiceError(failure)) return failure;
  const error = errorOfStatus(failure, call.what);
  if (isUnconnected(failure)) return (await call.channel.security.explain(call.what, failure.details)) ?? error;
  return error.code === "authentication" ? call.security.refusal(error) : error;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "details" in error && "metadata" in error;
}
