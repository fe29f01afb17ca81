import type { Effect, Fault, JobKey, Outcome, Scheduler } from "@heddle/core-scheduler";
import { assert, unreachable } from "@heddle/kernel";
import { type FabricError, JobOutcome } from "@heddle/wire";
import { verdictOn } from "./cancel.ts";
import type { ClientDesk } from "./client-desk.ts";
import type { CordonDesk } from "./cordon-desk.ts";
import { description } from "./describe.ts";
import type { Office } from "./desk.ts";
import type { JobHistory } from "./history.ts";
import { type AssignmentRecord, type JobRecord, wireAssignment } from "./ledger.ts";
import { ENDED_JOB_AGE_MS, ENDED_JOBS_MAX, LACK_LENGTH_MAX, REASON_LENGTH_MAX } from "./limits.ts";
import { noteEnd } from "./node-tally.ts";
import { plainLine } from "./plain.ts";
import { type Finish, fabricError, lostFinish, sendItemFailed, sendJobEnded, sendValues } from "./results.ts";

type Assign = Extract<Effect, { type: "assign-chunk" }>;
type EndJob = Extract<Effect, { type: "end-job" }>;

/** What performing the scheduler's wishes needs. */
export interface WishesOptions {
  readonly office: Office;
  readonly core: Scheduler;
  readonly clients: ClientDesk;
  readonly cordons: CordonDesk;
  readonly history: JobHistory;
  /** Whether a wish is being performed. */
  readonly isBusy: () => boolean;
  /** A job is over: there may be none left. */
  readonly idled: () => void;
}

/** Performs what the scheduler wishes, and tells it how chunks have finished: the one place where payloads, sessions and the core meet. */
export class Wishes implements Disposable {
  readonly #options: WishesOptions;
  readonly #office: Office;
  #timer: Disposable | undefined;
  /** The finish that the core is being told of. */
  #finish: Finish | undefined;
  /** Its values were delivered. */
  #delivered = false;

  constructor(options: WishesOptions) {
    this.#options = options;
    this.#office = options.office;
  }

  /** The core fires no timer any more. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  /** Tells the core, lets its wishes use what came, and settles what was announced to the client before. */
  finished(finish: Finish, outcome: Outcome, runMs: number): void {
    const { assignment } = finish;
    if (this.#office.ledger.assignments.get(assignment.id) !== assignment) {
      finish.relay?.end(true);
      return;
    }
    assert(!this.#options.isBusy(), "a finish is fed from a session's read loop, never from a wish");
    this.#office.ledger.assignments.delete(assignment.id);
    assignment.node.assignments.delete(wireAssignment(assignment.id));
    this.#office.counts.chunksFinished[outcome.type]++;
    noteEnd(assignment.node, outcome);
    const isOvertaken = this.#office.isOvertaken(assignment.id);
    if (outcome.type === "stopped" && !isOvertaken) this.#options.cordons.chunkStopped(assignment);
    this.#note(finish, outcome, isOvertaken);
    this.#finish = finish;
    this.#delivered = false;
    this.#office.feed({ type: "chunk-finished", assignment: assignment.id, outcome, runMs });
    if (!this.#delivered) finish.relay?.end(true); // the core had no use for it
    this.#finish = undefined;
    this.#options.clients.watchBacklog(assignment.job);
  }

  /** Keeps what went wrong, unless its job is over: then nobody asks why it does not go on. What was overtaken is kept for as long as its job is remembered. */
  #note(finish: Finish, outcome: Outcome, isOvertaken: boolean): void {
    const { node, job } = finish.assignment;
    if (
      isOvertaken
        ? !this.#office.ledger.remembers(job)
        : outcome.type === "done" || !this.#office.ledger.jobs.has(job.key)
    )
      return;
    const nowMs = this.#office.env.clock.nowMs();
    const isEnding = node.lifetime !== undefined && nowMs >= node.lifetime.stopsAtMs;
    const state = isOvertaken ? "overtaken" : isEnding ? "lifetime" : this.#options.core.node(node.key)?.state;
    this.#office.ledger.attempts.finished(finish, outcome, state, nowMs);
  }

  perform(effect: Effect): void {
    switch (effect.type) {
      case "assign-chunk":
        return this.#assign(effect);
      case "revoke-chunk":
        return this.#revoke(effect.assignment, effect.stop);
      case "deliver-span":
        return this.#deliver(effect.offset, effect.count);
      case "fail-item":
        return this.#failItem(effect);
      case "end-job":
        return this.#endJob(effect);
      case "release-chunk":
        return this.#release(effect.job, effect.chunk);
      case "forget-job": {
        const node = this.#office.ledger.nodes.get(effect.node);
        if (node?.described.delete(effect.job))
          node.session.send({ kind: { $case: "forgetJob", value: { job: effect.job } } }, 0, "unhurried");
        return;
      }
      case "retire-pool": {
        const node = this.#office.ledger.nodes.get(effect.node);
        return node?.session.send({ kind: { $case: "retirePool", value: { pool: effect.pool } } }, 0);
      }
      case "node-drained":
        return this.#nodeDrained(effect.node);
      case "exclude-node":
        return this.#exclude(effect);
      case "readmit-node":
        return this.#readmit(effect.node);
      case "announce-capacity":
        return this.#options.clients.announceCapacity(effect.slots, effect.nodes);
      case "set-timer":
        this.#timer?.[Symbol.dispose]();
        this.#timer = this.#office.env.clock.setTimer(effect.atMs, () => this.#office.feed({ type: "timer-fired" }));
        return;
      default:
        return unreachable(effect);
    }
  }

  #assign(effect: Assign): void {
    const node = this.#office.ledger.nodes.get(effect.node);
    const job = this.#office.ledger.jobs.get(effect.job);
    const chunk = job?.chunks.get(effect.chunk);
    if (node === undefined) return; // its session ended while wishes were performed: the core hears of it next
    assert(job !== undefined && chunk !== undefined, "the core assigns what it was told of");
    const number = wireAssignment(effect.assignment);
    const { offset, count, attempt } = effect;
    const assignment: AssignmentRecord = {
      id: effect.assignment,
      node,
      job,
      chunk: effect.chunk,
      offset,
      count,
      attempt,
      firstIndex: chunk.firstIndex + offset,
      isWhole: count === chunk.count,
      placedMs: this.#office.env.clock.nowMs(),
      startedMs: undefined,
      checkpointed: undefined,
    };
    this.#office.ledger.assignments.set(effect.assignment, assignment);
    node.assignments.set(number, assignment);
    if (!node.described.has(job.key)) {
      node.described.add(job.key);
      node.session.send({ kind: { $case: "describeJob", value: description(job) } }, 0);
    }
    const outgoing = node.outflow.send(chunk.input);
    const restoring = this.#office.ledger.checkpoints.restoring(assignment, node);
    const value = {
      assignment: number,
      job: job.key,
      chunk: effect.chunk,
      span: assignment.isWhole ? undefined : { offset, count },
      firstIndex: chunk.firstIndex,
      input: outgoing.header,
      attempt,
      marks: effect.marks,
      poolSlots: effect.poolSlots,
      fresh: effect.fresh,
      grain: effect.grain,
      restored: restoring?.restored,
    };
    const inlineBytes = outgoing.inlineBytes + (restoring?.inlineBytes ?? 0);
    node.session.send({ kind: { $case: "assignChunk", value } }, inlineBytes);
    outgoing.start();
    restoring?.start();
  }

  /** In the control lane: it overtakes assignments that wait, so an agent may hear of it first. */
  #revoke(id: AssignmentRecord["id"], stop: boolean): void {
    const assignment = this.#office.ledger.assignments.get(id);
    const value = { assignment: wireAssignment(id), stop };
    assignment?.node.session.send({ kind: { $case: "revokeChunk", value } });
  }

  #deliver(offset: number, count: number): void {
    const finish = this.#finish;
    assert(finish !== undefined, "only the finish that the core was told of is delivered");
    finish.assignment.job.itemsDone += count;
    this.#office.counts.itemsDone += count;
    settle(finish.assignment, count);
    const { job, firstIndex } = finish.assignment;
    this.#office.ledger.checkpoints.settled(job, firstIndex - finish.assignment.offset + offset, count);
    this.#delivered = true;
    if (finish.relay !== undefined) finish.relay.end(false);
    else sendValues(finish, offset, count);
  }

  #failItem(effect: Extract<Effect, { type: "fail-item" }>): void {
    const lost = this.#office.ledger.assignments.get(effect.assignment);
    const finish = this.#finish?.assignment.id === effect.assignment ? this.#finish : lost && lostFinish(lost);
    assert(finish !== undefined, "an item fails by a finish or by the loss of its node");
    const { job } = finish.assignment;
    if (job.failure === "")
      job.failure = (finish.failure?.summary ?? `node ${finish.assignment.node.name} was lost`).slice(0, 200);
    if (job.opened.collect) settle(finish.assignment, 1);
    this.#office.ledger.checkpoints.settled(
      job,
      finish.assignment.firstIndex - finish.assignment.offset + effect.offset,
      1,
    );
    sendItemFailed(finish, effect);
  }

  #endJob(effect: EndJob): void {
    const job = this.#office.ledger.jobs.get(effect.job);
    assert(job !== undefined, "the core ends what it was told of");
    const { client } = job.pool;
    const { fault } = effect;
    if (fault !== undefined && job.failure === "") job.failure = plainLine(fault.message, 200);
    const verdict = verdictOn(job, effect.outcome);
    if (verdict !== undefined) job.failure = plainLine(verdict.error.message, 200);
    const error = fault === undefined ? verdict?.error : faultError(fault, this.#finish?.initError);
    const outcome = verdict?.outcome ?? effect.outcome;
    this.#options.clients.endJob(job, outcome, () => sendJobEnded(client, job.number, JOB_OUTCOMES[outcome], error));
    client.jobs.delete(job.number);
    for (const chunk of job.chunks.keys()) this.#release(job.key, chunk);
    this.#office.ledger.jobs.delete(job.key);
    this.#office.ledger.checkpoints.forget(job);
    this.#office.counts.jobsEnded[outcome]++;
    this.#remember(job, outcome);
    this.#options.idled(); // what is left of ended jobs is stopped with the rest
  }

  #release(key: JobKey, number: number): void {
    const job = this.#office.ledger.jobs.get(key);
    const chunk = job?.chunks.get(number);
    if (job === undefined || chunk === undefined) return;
    job.chunks.delete(number);
    job.pool.client.heldChunks--;
    job.pool.client.heldBytes -= chunk.input.size;
    job.heldBytes -= chunk.input.size;
  }

  #remember(job: JobRecord, outcome: EndJob["outcome"]): void {
    const { ended } = this.#office.ledger;
    const endedMs = this.#office.env.clock.nowMs();
    job.isAbandoned = !this.#office.ledger.clients.has(job.pool.client.key);
    ended.push({ job, outcome, endedMs });
    if (job.keptFor === undefined) this.#options.history.ended({ job, outcome, endedMs });
    while (ended.length > ENDED_JOBS_MAX || endedMs - (ended[0]?.endedMs ?? endedMs) > ENDED_JOB_AGE_MS) {
      const forgotten = ended.shift();
      if (forgotten !== undefined) this.#office.ledger.attempts.forget(forgotten.job);
      const id = forgotten?.job.id;
      if (id !== undefined && this.#office.ledger.jobIds.get(id) === forgotten?.job)
        this.#office.ledger.jobIds.delete(id);
    }
  }

  #exclude({ node: key, reason, untilMs }: Extract<Effect, { type: "exclude-node" }>): void {
    const node = this.#office.ledger.nodes.get(key);
    if (node === undefined) return;
    const forSeconds = Math.round((untilMs - this.#office.env.clock.nowMs()) / 1_000);
    this.#office.env.log.warn("node excluded", {
      node: node.name,
      forSeconds,
      reason: plainLine(reason, REASON_LENGTH_MAX),
    });
    this.#options.clients.processes.nodeExcluded(node, true);
  }

  #readmit(key: Extract<Effect, { type: "readmit-node" }>["node"]): void {
    const node = this.#office.ledger.nodes.get(key);
    if (node === undefined) return;
    this.#office.env.log.info("node takes work again, on probation", { node: node.name });
    this.#options.clients.processes.nodeExcluded(node, false);
  }

  #nodeDrained(key: Extract<Effect, { type: "node-drained" }>["node"]): void {
    const node = this.#office.ledger.nodes.get(key);
    const processes = node === undefined ? 0 : this.#options.clients.processes.countOn(node);
    this.#office.env.log.info("no chunk is left on a node that drains", { node: node?.name, processes });
  }
}

/** `initError`: what came with the finish that the core is being told of. */
function faultError({ code, message }: Fault, initError: Uint8Array | undefined): FabricError {
  if (code === "pool-init") return fabricError(code, message, initError);
  return fabricError(code, plainLine(message, LACK_LENGTH_MAX)); // labels are words of others
}

/** Items of its chunk have their answer. */
function settle({ job, chunk: number }: AssignmentRecord, count: number): void {
  const chunk = job.chunks.get(number);
  if (chunk === undefined) return;
  chunk.itemsSettled += count;
  if (chunk.itemsSettled === chunk.count) job.chunksDone++;
}

const JOB_OUTCOMES = { done: JobOutcome.DONE, failed: JobOutcome.FAILED, cancelled: JobOutcome.CANCELLED } as const;
