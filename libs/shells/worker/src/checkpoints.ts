import { CHECKPOINT_BYTES_MAX, LimitError, type Millis, StateError } from "@heddle/kernel";
import { type Checkpoint, type EncodedPayload, encodePayload, splitPayload } from "@heddle/wire";
import { CHECKPOINT_EVERY_MS } from "./limits.ts";
import type { TaskPlace } from "./task-context.ts";
import type { WorkerOptions } from "./worker.ts";

type Options = Pick<WorkerOptions, "link" | "env" | "stopSignal" | "noticeStop">;

interface ItemState extends Pick<Checkpoint, "assignment" | "offset"> {
  readonly state: EncodedPayload;
}

/** What items of the chunk that runs have come to: tells the agent at once, but no more often than it is of use. The newest counts. */
export class Checkpoints {
  readonly #options: Options;
  readonly #mintStream: () => number;
  /** The newest, while it is too early to tell. */
  #held: ItemState | undefined;
  #timer: Disposable | undefined;
  #toldMs: Millis = Number.NEGATIVE_INFINITY;
  /** Once a task has asked for it. */
  #stopSignal: AbortSignal | undefined;
  /** This process will be ended soon. */
  #isNoticed = false;

  /** `mintStream`: numbers parts. */
  constructor(options: Options, mintStream: () => number) {
    this.#options = options;
    this.#mintStream = mintStream;
  }

  /** The agent says that this process will be ended soon, and why. */
  notice(reason: string): void {
    this.#isNoticed = true;
    this.tell();
    this.#options.noticeStop(reason);
  }

  /** Aborts when this process is about to end. */
  readonly stopSignal = (): AbortSignal => {
    this.#stopSignal ??= this.#options.stopSignal();
    return this.#stopSignal;
  };

  /** An item has come to `value`. Throws SerializationError or LimitError for what cannot travel, and StateError where it would not do. */
  readonly take = ({ assignment, chunkIndex, isOnce }: TaskPlace, index: number, value: unknown): void => {
    if (isOnce) throw new StateError(ONCE_WORDS);
    this.#held = { assignment, offset: index - chunkIndex, state: encoded(value) };
    const { clock } = this.#options.env;
    const dueMs = this.#toldMs + CHECKPOINT_EVERY_MS;
    const isLast = this.#isNoticed || this.#stopSignal?.aborted === true;
    if (isLast || clock.nowMs() >= dueMs) this.tell();
    else this.#timer ??= clock.setTimer(dueMs, () => this.tell());
  };

  /** Tells what was not told. */
  tell(): void {
    const held = this.#held;
    this.drop();
    if (held === undefined) return;
    const { link, env } = this.#options;
    this.#toldMs = env.clock.nowMs();
    const { header: state, parts } = splitPayload(held.state, this.#mintStream);
    link.send({ kind: { $case: "checkpoint", value: { ...held, state } } });
    for (const part of parts) link.send({ kind: { $case: "part", value: part } });
    link.flush();
  }

  /** What was not told is of no use any more. */
  drop(): void {
    this.#held = undefined;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }
}

const ONCE_WORDS =
  'a task of a call with effects "once" has no checkpoints: what it wrote is dropped with a lost attempt, so the next one begins anew';

function encoded(value: unknown): EncodedPayload {
  const payload = encodePayload([value], "value");
  const { length } = payload.bytes;
  if (length <= CHECKPOINT_BYTES_MAX) return payload;
  const words = `a checkpoint may have ${CHECKPOINT_BYTES_MAX} bytes (CHECKPOINT_BYTES_MAX), this one has ${length}`;
  throw new LimitError("CHECKPOINT_BYTES_MAX", CHECKPOINT_BYTES_MAX, length, words);
}
