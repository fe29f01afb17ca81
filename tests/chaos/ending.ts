import { eventually, settles } from "../harness/waiting.ts";
import type { Gauges } from "./gauges.ts";
import { isOpen, type JobFacts } from "./job-facts.ts";
import type { Ledger } from "./ledger.ts";
import type { Contents } from "./observer-program.ts";
import type { Parties } from "./parties.ts";
import { replayed, stateNumbers } from "./replay.ts";
import type { RunDirectory } from "./run-directory.ts";
import type { ServerProgram } from "./server-program.ts";

/** A server that was told to stop does so within this time. */
const STOP_MS_MAX = 30_000;

/** Sessions of programs that are gone are over within this time: twice their lease (OBJECTS_TTL_MS). */
const LEASES_MS_MAX = 30_000;

/** Ended jobs go after an hour: older ones may be gone from one look to the next. */
const KEPT_AGE_MS_MAX = 50 * 60_000;

/** Numbers of pages of metrics that are 0 when nothing is to be done any more. */
const idle = [
  [
    "coordinator",
    [
      "heddle_coordinator_jobs",
      'heddle_coordinator_kept_jobs{state="submitting"}',
      'heddle_coordinator_kept_jobs{state="running"}',
    ],
  ],
  ["manager", ["heddle_manager_effects_jobs", 'heddle_manager_waits{what="lock"}']],
] as const;

interface EndingOptions {
  readonly directory: RunDirectory;
  readonly wrong: (problem: string) => void;
}

/** What is looked at when everything is over that a run has begun. */
export class Ending {
  readonly #parties: Parties;
  readonly #directory: RunDirectory;
  readonly #wrong: (problem: string) => void;

  constructor(parties: Parties, { directory, wrong }: EndingOptions) {
    this.#parties = parties;
    this.#directory = directory;
    this.#wrong = wrong;
  }

  /** Every job is over, every sum is right, nothing is left open. */
  async look(ledger: Ledger, gauges: Gauges): Promise<void> {
    const { observer } = this.#parties;
    await this.#step("a look at the jobs", () => this.#lookAtJobs());
    await this.#step("a look at what is shared", async () => {
      const contents = (await observer.ask("contents", ledger.once.open())) as Contents;
      for (const complaint of ledger.complaints(contents)) this.#wrong(complaint);
    });
    for (const complaint of await gauges.leftovers()) this.#wrong(complaint);
  }

  /** Agents first; coordinator and manager are killed and started again, and the manager's journal is replayed by this process, too, before everybody is gone. `onceKeys`: jobs whose writes are looked at. */
  async stopServers(onceKeys: readonly string[]): Promise<void> {
    const { agents, coordinator, manager, observer } = this.#parties;
    for (const agent of agents) await this.#stop(agent);
    await this.#step("a look at a coordinator that was started again", () => this.#replayCoordinator());
    await this.#step("a look at a manager that was started again", () => this.#replayManager(onceKeys));
    await observer.ask("close");
    await this.#stop(coordinator);
    await this.#stop(manager);
  }

  async lookForLeftovers(): Promise<void> {
    const { wire, observer, hosts } = this.#parties;
    const ours = [wire.pid, observer.pid];
    const processes = [...(await hosts.processes())].filter(([pid]) => !ours.includes(pid));
    for (const [pid, command] of processes) this.#wrong(`process ${pid} is left: ${command.slice(0, 200)}`);
    for (const port of await hosts.listening()) this.#wrong(`somebody listens at ${port}`);
    for (const name of this.#directory.leftTemporary()) this.#wrong(`${name} is left in the temporary directory`);
  }

  /** As programs see them, and as people do. */
  async #lookAtJobs(): Promise<void> {
    const jobs = (await this.#parties.observer.ask("jobs")) as readonly JobFacts[];
    for (const { jobId, state, client } of jobs.filter(isOpen))
      this.#wrong(`job ${jobId} of ${client} is ${state} when everything is over`);
    const shown = JSON.parse(await this.#parties.heddle("get", "jobs", "-o", "json")) as readonly { state: string }[];
    const open = shown.filter(isOpen);
    if (shown.length === 0 || open.length > 0)
      this.#wrong(`heddle get jobs shows ${shown.length} jobs, ${open.length} of them open`);
    for (const [party, names] of idle) await this.#lookAtNumbers(party, names);
  }

  /** What a program had that was killed goes with its lease, which may be later. */
  async #lookAtNumbers(party: "coordinator" | "manager", names: readonly string[]): Promise<void> {
    let page: Readonly<Record<string, number>> = {};
    const look = async (): Promise<true | undefined> => {
      page = await this.#parties.metrics(party);
      return names.every((name) => page[name] === 0) ? true : undefined;
    };
    await eventually("nothing is left to be done", look, LEASES_MS_MAX).catch(() => undefined); // what is left is told below
    for (const name of names) if (page[name] !== 0) this.#wrong(`${name} is ${page[name]} when everything is over`);
  }

  /** Every job that it keeps is there again, as it was. */
  async #replayCoordinator(): Promise<void> {
    const { coordinator } = this.#parties;
    const live = await this.#keptFacts();
    await coordinator.kill();
    await coordinator.start();
    this.#mustEqual("what the coordinator keeps after its last restart", await this.#keptFacts(), live);
  }

  async #keptFacts(): Promise<string[]> {
    const jobs = (await this.#parties.observer.ask("jobs")) as readonly JobFacts[];
    const kept = jobs.filter((job) => job.kept && job.ageMs < KEPT_AGE_MS_MAX);
    return kept.map(({ jobId, state, items, detached }) => [jobId, state, items, detached].join(" ")).toSorted();
  }

  async #replayManager(onceKeys: readonly string[]): Promise<void> {
    const { manager, observer, hosts } = this.#parties;
    const digest = await observer.ask("digest", onceKeys);
    const live = stateNumbers(await this.#parties.metrics("manager"));
    await manager.kill();
    const journal = hosts.path("manager", this.#directory.in("data", "manager", "journal"));
    const again = await replayed(journal, this.#directory.in("journal"));
    this.#mustEqual("the state that follows from the manager's journal", again, live);
    await manager.start();
    const after = await observer.ask("digest", onceKeys);
    this.#mustEqual("what is shared after the manager's last restart", after, digest);
  }

  async #stop(server: ServerProgram): Promise<void> {
    const code = await settles(server.stop(), () => `${server.name} does not stop`, STOP_MS_MAX).catch(String);
    if (code !== 0) this.#wrong(`${server.name} ended with ${String(code)}: ${server.lastWords()}`);
  }

  #mustEqual(what: string, got: unknown, expected: unknown): void {
    const [seen, wanted] = [JSON.stringify(got), JSON.stringify(expected)];
    if (seen !== wanted) this.#wrong(`${what} is ${seen}, and was ${wanted}`);
  }

  /** What cannot be looked at is wrong, and does not keep the others from being looked at. */
  async #step(what: string, act: () => Promise<void>): Promise<void> {
    await act().catch((error: unknown) => this.#wrong(`${what} failed: ${String(error)}`));
  }
}
