import { HeddleError, ProtocolError } from "@heddle/kernel";
import type { Artifact } from "@heddle/port-shipper";
import {
  type ProcessEnded,
  ProcessSignal,
  type ProcessStarted,
  type RunRequestEntry,
  type StartProcess,
} from "@heddle/wire";
import type { OfferedArtifacts } from "./artifacts.ts";
import { fabricErrorOf } from "./failure.ts";
import { exitCodeOf, type ProcessRun } from "./process-run.ts";

/** A process to be started. */
export interface ProcessRequest {
  readonly run: ProcessRun;
  /** Code, captured values and arguments of its target. */
  readonly artifacts: readonly Artifact[];
  readonly start: Omit<StartProcess, "process">;
}

/** The processes of one session, from the wish for them to their end. All is said in the control lane: it is little, and in order. */
export class OpenProcesses {
  readonly #send: (entry: RunRequestEntry) => void;
  readonly #artifacts: OfferedArtifacts;
  readonly #open = new Map<number, ProcessRequest>();
  #last = 0;

  constructor(send: (entry: RunRequestEntry) => void, artifacts: OfferedArtifacts) {
    this.#send = send;
    this.#artifacts = artifacts;
  }

  /** Asks for it; the rest is its run's to tell. */
  start(request: ProcessRequest): void {
    const { run, artifacts, start } = request;
    try {
      this.#use(artifacts);
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      return run.fail(error);
    }
    run.number = ++this.#last;
    this.#open.set(run.number, request);
    this.#send({ kind: { $case: "startProcess", value: { ...start, process: run.number } } });
  }

  /** Nothing for one that is over. */
  signal(run: ProcessRun, signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#open.get(run.number)?.run !== run) return;
    const value = { process: run.number, signal: signal === "SIGKILL" ? ProcessSignal.KILL : ProcessSignal.TERMINATE };
    this.#send({ kind: { $case: "signalProcess", value } });
  }

  started({ process, node, pid }: ProcessStarted): void {
    this.#open.get(process)?.run.hasStarted(node, pid);
  }

  ended({ process, end, why }: ProcessEnded): void {
    const request = this.#open.get(process);
    if (request === undefined) return;
    if (end === undefined) throw new ProtocolError("a process ended without saying how");
    this.#open.delete(process);
    for (const artifact of request.artifacts) this.#artifacts.release(artifact);
    if (end.$case === "refused") request.run.fail(fabricErrorOf(end.value));
    else request.run.hasEnded({ exitCode: exitCodeOf(end), why });
  }

  /** The session is over: nothing more is heard of them, and the fabric ends them. */
  fail(error: Error): void {
    const requests = [...this.#open.values()];
    this.#open.clear();
    for (const { run } of requests) run.fail(error);
  }

  #use(artifacts: readonly Artifact[]): void {
    for (const [at, artifact] of artifacts.entries())
      try {
        this.#artifacts.use(artifact);
      } catch (error) {
        for (const used of artifacts.slice(0, at)) this.#artifacts.release(used);
        throw error;
      }
  }
}
