import { backoffMs, SessionLostError } from "@heddle/kernel";
import type { OperationReply, WaitOptions } from "./channel.ts";
import type { ObjectsHome } from "./home.ts";
import { pause, SESSION_BACKOFF } from "./retry.ts";

/** What a watch needs of its object. */
export interface WatchSource<C> {
  readonly home: ObjectsHome;
  /** Asks for changes after a revision, at once. */
  readonly look: (after: number) => Promise<OperationReply>;
  /** Waits for them. */
  readonly wait: (after: number, options: WaitOptions) => Promise<OperationReply>;
  /** Stands for changes that are lost. */
  readonly reset: (revision: bigint) => C;
}

/**
 * Changes of a shared object, in order, from the moment at which it was asked for. Leaving a `for await` over it, or `return`, ends it. It outlives restarts of the manager and lost
 * sessions; once the object is destroyed `next` rejects with NotFoundError.
 */
export class Watch<C> implements AsyncIterableIterator<C, undefined>, AsyncDisposable {
  readonly #over = new AbortController();
  readonly #changes: AsyncGenerator<C, undefined, undefined>;

  constructor(source: WatchSource<C>) {
    // Nothing is remembered from revision 0 on, so that the answer is at once from which one on there is.
    const started = source.look(0).then(({ numbers: [revision = 0] }) => revision);
    started.catch(() => undefined); // `next` says so
    this.#changes = changesOf(source, started, this.#over.signal);
  }

  next(): Promise<IteratorResult<C, undefined>> {
    return this.#changes.next();
  }

  /** Ends it, and a `next` that waits, which has no more then. */
  return(): Promise<IteratorResult<C, undefined>> {
    this.#over.abort();
    return this.#changes.return(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

async function* changesOf<C>(
  source: WatchSource<C>,
  started: Promise<number>,
  signal: AbortSignal,
): AsyncGenerator<C, undefined, undefined> {
  let revision = await started;
  while (!signal.aborted) {
    const reply = await nextReply(source, revision, signal);
    if (reply === undefined) return undefined;
    const { values, numbers } = reply;
    revision = numbers[0] ?? revision;
    if (numbers[1] === 1) yield source.reset(BigInt(revision));
    for (const value of values) yield changeOf<C>(source.home.decode(value));
  }
  return undefined;
}

/** Asks until there is an answer; undefined once the watch is over. A session that was lost had nothing of it: the next one goes on. */
async function nextReply<C>(
  { home, wait }: WatchSource<C>,
  revision: number,
  signal: AbortSignal,
): Promise<OperationReply | undefined> {
  for (let losses = 1; ; losses++) {
    try {
      return await wait(revision, { signal });
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof SessionLostError)) throw error;
      await pause(home, backoffMs(SESSION_BACKOFF, losses, home.env.random));
    }
  }
}

/** The record as it came, with its revision as a bigint. */
function changeOf<C>(record: unknown): C {
  const { revision, ...change } = record as { readonly revision: number };
  return { ...change, revision: BigInt(revision) } as C;
}
