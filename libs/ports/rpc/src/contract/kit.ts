// biome-ignore-all lint/style/noRestrictedGlobals: a test suite, which bounds what it observes by real time
import type { RpcFixture } from "../contract.ts";
import type { Link } from "../link.ts";
import {
  type Listening,
  type MessageCodec,
  type StreamMethod,
  streamRoute,
  type UnaryMethod,
  unaryRoute,
} from "../rpc.ts";

/** The message of the contract suite: a number and some bytes. -1 encodes to something that does not decode. */
export interface Note {
  readonly n: number;
  readonly bytes: Uint8Array;
}

const codec: MessageCodec<Note> = {
  encode: ({ n, bytes }) => ({
    finish: () => {
      const encoded = new Uint8Array(4 + bytes.length);
      new DataView(encoded.buffer).setInt32(0, n, true);
      encoded.set(bytes, 4);
      return encoded;
    },
  }),
  decode: (encoded) => {
    const n = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength).getInt32(0, true);
    if (n < 0) throw new RangeError("a note's number is negative");
    return { n, bytes: new Uint8Array(encoded.subarray(4)) };
  },
};

export const echoMethod: StreamMethod<Note, Note> = { path: "/test.Contract/Echo", request: codec, response: codec };
export const nowhereMethod: StreamMethod<Note, Note> = { path: "/test.Contract/No", request: codec, response: codec };
export const questionMethod: UnaryMethod<Note, Note> = { path: "/test.Contract/Ask", request: codec, response: codec };

export function note(n: number): Note {
  return { n, bytes: new Uint8Array() };
}

/** 0 to count - 1. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

/** Both ends of one stream. */
interface Ends extends AsyncDisposable {
  readonly dialer: Link<Note, Note>;
  readonly acceptor: Link<Note, Note>;
}

/** The first stream to a server, and the way to open more. */
export interface Opened extends Ends {
  readonly listening: Listening;
  readonly another: () => Promise<Ends>;
}

/** Starts a server and opens a stream to it that `cut` can break. */
export async function open(rpc: RpcFixture): Promise<Opened> {
  const waiting: ((link: Link<Note, Note>) => void)[] = [];
  const routes = [streamRoute(echoMethod, (link) => waiting.shift()?.(link))];
  const listening = await rpc.server.listen(rpc.address(), routes);
  const address = await rpc.route(listening.address);
  const another = async (): Promise<Ends> => {
    const { promise, resolve } = Promise.withResolvers<Link<Note, Note>>();
    waiting.push(resolve);
    const dialer = await rpc.client.dial(echoMethod, address, new AbortController().signal);
    return { dialer, acceptor: await promise, [Symbol.asyncDispose]: () => dialer[Symbol.asyncDispose]() };
  };
  const first = await another();
  return {
    ...first,
    listening,
    another,
    [Symbol.asyncDispose]: async () => {
      rpc.cut();
      await listening[Symbol.asyncDispose]();
    },
  };
}

/** The next `count` messages of a link, or all until it is over. */
export async function gather(link: Link<Note, Note>, count = Number.POSITIVE_INFINITY): Promise<Note[]> {
  const messages: Note[] = [];
  if (count === 0) return messages;
  const iterator = link.incoming[Symbol.asyncIterator]();
  while (messages.length < count) {
    const result = await iterator.next();
    if (result.done === true) break;
    messages.push(result.value);
  }
  return messages;
}

/** The numbers of the next `count` messages. */
export async function take(link: Link<Note, Note>, count: number): Promise<number[]> {
  return (await gather(link, count)).map(({ n }) => n);
}

/** A stalled send is told from a slow one by this much time. */
const STALL_MS = 200;
/** What is bounded in time is faster than this. */
export const BOUND_MS = 8_000;
/** A signal that is never aborted. */
export const forever = new AbortController().signal;

/** A server of one question. */
export function answering(rpc: RpcFixture, answer: (request: Note) => Promise<Note>): Promise<Listening> {
  return rpc.server.listen(rpc.address(), [unaryRoute(questionMethod, answer)]);
}

/** Says everything back. */
export async function echo(link: Link<Note, Note>, accepted: Link<Note, Note>[]): Promise<void> {
  accepted.push(link);
  for await (const message of link.incoming) if (!link.send(message)) await link.drained();
}

/** Sends everything, as fast as the link takes it. */
export async function pump(link: Link<Note, Note>, values: readonly number[]): Promise<void> {
  for (const n of values) if (!link.send(note(n))) await link.drained();
}

/** Sends until the link takes no more for a while; returns how many messages that were, numbered from 0. */
export async function fill(link: Link<Note, Note>): Promise<number> {
  const bytes = new Uint8Array(64 * 1024);
  for (let n = 0; n < 10_000; n++) {
    if (link.send({ n, bytes })) continue;
    const stalled = new AbortController();
    const timer = setTimeout(() => stalled.abort(), STALL_MS);
    const hasRoom = await link.drained(stalled.signal).then(
      () => true,
      () => false,
    );
    clearTimeout(timer);
    if (!hasRoom) return n + 1;
  }
  throw new Error("10,000 messages of 64 KiB went into a link that nobody reads");
}
