import {
  CLIENT_CHUNKS_MAX,
  CLIENT_INPUT_BYTES_MAX,
  CLIENT_JOBS_MAX,
  Fifo,
  ProtocolError,
  SESSION_WINDOW_BYTES,
} from "@heddle/kernel";
import { KEPT_JOBS_MINOR, PROTOCOL_MINOR, type RunRequestEntry, SETTLED_SPANS_MINOR } from "@heddle/wire";
import { made, UnshippedFunctions } from "./argument-functions.ts";
import { hasRoomFor, isOn, type JobRequest, jobsOf, type Line, type OfferedRun, recount, sendChunk } from "./line.ts";

/** What the jobs of a connection need of it. */
export interface OfferingHost {
  /** The session, if there is one. */
  readonly line: () => Line | undefined;
  /** Whether anything may be said in it: in one that follows another not before it is known what its coordinator speaks. */
  readonly isReady: (line: Line) => boolean;
  /** Stops a job that is open. */
  readonly cancel: (run: OfferedRun, reason: string) => void;
}

/** Opens the jobs of a connection in its session and offers their chunks, as far as bounds allow; in another session what is not answered again. */
export class Offering {
  readonly #host: OfferingHost;
  /** Not open in this session, the oldest first. */
  readonly #waiting = new Fifo<JobRequest>();
  /** Those whose functions among the inputs are being shipped. */
  readonly #shipping = new Set<JobRequest>();
  #pumping = false;
  #awaitingDrain = false;

  constructor(host: OfferingHost) {
    this.#host = host;
  }

  /** Jobs that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** It is opened when it is its turn, behind those that wait. */
  add(request: JobRequest): void {
    this.#waiting.push(request);
    this.schedule();
  }

  /** All that wait, which do so no more. */
  takeAll(): readonly JobRequest[] {
    const all = [...this.#waiting];
    this.#waiting.clear();
    return all;
  }

  /** The coordinator has said how much it has of a job that is to be kept: the rest is offered. */
  kept(line: Line, request: JobRequest): void {
    if (line.held.delete(request)) line.behind.add(request);
    this.schedule();
  }

  /** Something may have changed that keeps chunks back: looks soon, once. */
  schedule(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      const line = this.#host.line();
      if (line !== undefined) this.#pump(line);
    });
  }

  /**
   * Opens jobs and offers their chunks, one of each job in turn, while the coordinator's bounds and the window allow; what is offered again first.
   */
  #pump(line: Line): void {
    if (!this.#host.isReady(line)) return;
    while (jobsOf(line) < CLIENT_JOBS_MAX && line.artifacts.room >= JOB_ARTIFACTS_MAX) {
      const request = this.#waiting.peek();
      if (request === undefined || !hasRoomFor(line, request.run)) break;
      if (request.run.isKept && line.firstAnswer !== undefined) break; // it is not known yet what the coordinator speaks
      this.#waiting.shift();
      if (request.run.isKept && line.minor < KEPT_JOBS_MINOR) {
        request.run.fail(keepsNoJobs(line.minor));
        continue;
      }
      this.#openJob(line, request);
    }
    if (!this.#catchUp(line)) return;
    for (const request of line.unsealed) {
      if (line.openChunks >= CLIENT_CHUNKS_MAX) return;
      if (line.session.queuedBytes >= SESSION_WINDOW_BYTES) return this.#pumpWhenDrained(line);
      if (!this.#poll(line, request)) continue;
      const { nextBytes } = request.run;
      if (line.openChunks > 0 && line.openBytes + nextBytes > CLIENT_INPUT_BYTES_MAX) return;
      this.#offer(line, request);
      line.unsealed.delete(request); // to the end of the queue: it is met there again, also when a bound comes before that
      line.unsealed.add(request);
    }
  }

  /** Offers again what was not answered before, one chunk of each job in turn. It is counted already. False: the window is full. */
  #catchUp(line: Line): boolean {
    for (const request of line.behind) {
      if (line.session.queuedBytes >= SESSION_WINDOW_BYTES) {
        this.#pumpWhenDrained(line);
        return false;
      }
      line.behind.delete(request);
      const chunk = request.run.takeAgain(line.minor >= SETTLED_SPANS_MINOR);
      if (chunk !== undefined) {
        sendChunk(line, request, chunk, [...chunk.settled]);
        line.behind.add(request);
      } else if (!this.#shipping.has(request)) line.unsealed.add(request);
    }
    return true;
  }

  /** Whether there is a chunk to offer; seals the job after its last one, and fails it for an input that cannot travel. */
  #poll(line: Line, request: JobRequest): boolean {
    const { run } = request;
    try {
      const readiness = run.poll();
      if (!isOn(line, request)) return false; // the inputs' own code has ended it
      if (readiness === "ready") return true;
      line.unsealed.delete(request);
      if (readiness === "wait") line.dormant.add(request);
      else line.session.send(sealOf(run), 0);
    } catch (error) {
      if (error instanceof UnshippedFunctions) void this.#shipArguments(line, request, error);
      else this.#refuseInput(run, error);
    }
    return false;
  }

  #refuseInput(run: OfferedRun, error: unknown): void {
    this.#host.cancel(run, "an input cannot travel");
    run.fail(error);
  }

  /**
   * The job offers no more until the functions among its inputs are shipped and the shared objects made, or refused: that is thrown by the input that has
   * them. It may be another session meanwhile.
   */
  async #shipArguments(line: Line, request: JobRequest, { fns, handles }: UnshippedFunctions): Promise<void> {
    line.unsealed.delete(request);
    this.#shipping.add(request);
    for (const met of [...handles, ...fns])
      try {
        const artifacts = typeof met === "function" ? await request.functions.ship(met) : await made(met);
        if (request.run.settled) break;
        for (const artifact of artifacts) {
          this.#lineOf(request)?.artifacts.use(artifact);
          request.artifacts.push(artifact);
        }
      } catch (error) {
        request.functions.refuse(met, error);
        if (!request.job.collect) break; // the call fails, unless an input before it cannot travel either
      }
    this.#shipping.delete(request);
    const now = this.#lineOf(request);
    if (now === undefined || now.behind.has(request) || now.held.has(request) || request.run.isLost) return;
    now.unsealed.add(request);
    this.schedule();
  }

  /** The session in which it is open now. */
  #lineOf(request: JobRequest): Line | undefined {
    const line = this.#host.line();
    return line !== undefined && isOn(line, request) ? line : undefined;
  }

  #pumpWhenDrained(line: Line): void {
    if (this.#awaitingDrain) return;
    this.#awaitingDrain = true;
    const resume = (): void => {
      this.#awaitingDrain = false;
      this.schedule();
    };
    line.session.drained().then(resume, resume);
  }

  /** In the control lane, as what cancels it: neither may overtake the other. Its chunks follow in the bulk lane. */
  #openJob(line: Line, request: JobRequest): void {
    const { run, pool, job } = request;
    if (run.settled || !this.#useArtifacts(line, request)) return;
    run.number = ++line.lastJob;
    line.jobs.set(run.number, request);
    run.counted.chunks = run.counted.bytes = 0;
    recount(line, request);
    if (run.isKept) line.held.add(request);
    else line.behind.add(request);
    if (!run.isKept && line.firstAnswer === undefined) run.markOpened();
    run.onWake = () => {
      if (!line.dormant.delete(request)) return;
      line.unsealed.add(request);
      this.schedule();
    };
    if (!line.pools.has(pool.poolId)) {
      line.pools.add(pool.poolId);
      line.session.send({ kind: { $case: "openPool", value: pool } });
    }
    line.session.send({ kind: { $case: "openJob", value: { ...job, ...run.progress(job.ordered), job: run.number } } });
  }

  /** Offers its code. False: it needs more of it than there is room for, and has failed. */
  #useArtifacts(line: Line, { run, artifacts }: JobRequest): boolean {
    for (const [at, artifact] of artifacts.entries())
      try {
        line.artifacts.use(artifact);
      } catch (error) {
        for (const used of artifacts.slice(0, at)) line.artifacts.release(used);
        run.fail(error);
        return false;
      }
    return true;
  }

  #offer(line: Line, request: JobRequest): void {
    const chunk = request.run.take();
    recount(line, request);
    sendChunk(line, request, chunk);
  }
}

/** All of the inputs of a run were offered. */
function sealOf(run: OfferedRun): RunRequestEntry {
  const { number: job, chunkCount } = run;
  if (!run.isKept) return { kind: { $case: "sealJob", value: { job, chunkCount } } };
  return { kind: { $case: "sealKeptJob", value: { job, chunkCount, digest: run.digest } } };
}

/** What whoever asks an older coordinator to keep a job is told. */
export function keepsNoJobs(minor: number): ProtocolError {
  const words = `the coordinator speaks minor ${minor} of heddle.v1, which keeps no jobs: minor ${KEPT_JOBS_MINOR} does, and this program speaks ${PROTOCOL_MINOR}`;
  return new ProtocolError(`${words}. Bring the coordinator up to date, or call without detach and jobId`);
}

/** Of a job: code and captured values of its function, of what combines its results and of its pool's initializer, and that one's arguments. */
const JOB_ARTIFACTS_MAX = 7;
