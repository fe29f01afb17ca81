import { CHECKPOINTS_MINOR, type PayloadFlow, type RestoredItem } from "@heddle/wire";
import type { AssignmentRecord, JobRecord, NodeRecord } from "./ledger.ts";
import { CHECKPOINTS_BYTES_MAX, JOB_CHECKPOINTS_BYTES_MAX } from "./limits.ts";

/** What an item has come to. */
interface Checkpoint {
  readonly job: JobRecord;
  /** Of the item in its job's inputs. */
  readonly index: number;
  /** Complete, and kept. */
  readonly state: PayloadFlow;
}

/** Those of one job, by the index of their item; the oldest first. */
interface JobCheckpoints {
  readonly byIndex: Map<number, Checkpoint>;
  bytes: number;
}

/** What a new placement is given of an attempt before. */
interface Restoring {
  readonly restored: RestoredItem;
  /** Bytes inside, for the lane's accounting. */
  readonly inlineBytes: number;
  /** Call right after the placement was sent. */
  readonly start: () => void;
}

/**
 * What items that run have come to, for those who run them next: the newest word of each assignment, until the item is answered. In memory: a coordinator that is started
 * anew knows of none.
 */
export class CheckpointBook {
  /** Oldest first. */
  readonly #all = new Set<Checkpoint>();
  readonly #ofJob = new Map<JobRecord, JobCheckpoints>();
  #bytes = 0;

  /** Bytes of all. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `offset`: of the item in its chunk. Takes the place of what the assignment has said before, of whichever item. */
  keep(assignment: AssignmentRecord, offset: number, state: PayloadFlow): void {
    const { job } = assignment;
    const index = assignment.firstIndex - assignment.offset + offset;
    const before = assignment.checkpointed;
    if (before !== undefined) this.#drop(this.#ofJob.get(job)?.byIndex.get(before));
    const own = this.#ofJob.get(job) ?? { byIndex: new Map(), bytes: 0 };
    this.#ofJob.set(job, own);
    this.#drop(own.byIndex.get(index));
    const checkpoint = { job, index, state };
    assignment.checkpointed = index;
    this.#ofJob.set(job, own); // its last one may have been dropped
    own.byIndex.set(index, checkpoint);
    this.#all.add(checkpoint);
    own.bytes += state.size;
    this.#bytes += state.size;
    for (const oldest of own.byIndex.values()) {
      if (own.bytes <= JOB_CHECKPOINTS_BYTES_MAX) break;
      this.#drop(oldest);
    }
    for (const oldest of this.#all) {
      if (this.#bytes <= CHECKPOINTS_BYTES_MAX) break;
      this.#drop(oldest);
    }
  }

  /** What `node`, which is given these items, is told of the newest word there is of one of them; undefined for none, and where its agent would not know what that is. */
  restoring({ job, firstIndex, offset, count }: AssignmentRecord, node: NodeRecord): Restoring | undefined {
    const own = this.#ofJob.get(job);
    if (own === undefined || node.minor < CHECKPOINTS_MINOR) return undefined;
    let newest: Checkpoint | undefined;
    for (const each of own.byIndex.values()) if (isIn(each.index, firstIndex, count)) newest = each;
    if (newest === undefined) return undefined;
    const { header: state, inlineBytes, start } = node.outflow.send(newest.state);
    return { restored: { offset: newest.index - firstIndex + offset, state }, inlineBytes, start };
  }

  /** These items of a job are answered. */
  settled(job: JobRecord, firstIndex: number, count: number): void {
    const own = this.#ofJob.get(job);
    if (own === undefined) return;
    for (const each of own.byIndex.values()) if (isIn(each.index, firstIndex, count)) this.#drop(each);
  }

  /** The job is over. */
  forget(job: JobRecord): void {
    for (const each of this.#ofJob.get(job)?.byIndex.values() ?? []) this.#drop(each);
  }

  #drop(checkpoint: Checkpoint | undefined): void {
    if (checkpoint === undefined || !this.#all.delete(checkpoint)) return;
    const { job, index, state } = checkpoint;
    this.#bytes -= state.size;
    const own = this.#ofJob.get(job);
    if (own === undefined) return;
    own.byIndex.delete(index);
    own.bytes -= state.size;
    if (own.byIndex.size === 0) this.#ofJob.delete(job);
  }
}

function isIn(index: number, firstIndex: number, count: number): boolean {
  return index >= firstIndex && index < firstIndex + count;
}
