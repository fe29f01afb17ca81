import { silentLogger } from "@heddle/kernel";
import { MemoryJournalStore, memoryJournal } from "@heddle/port-journal";
import type { Metric } from "@heddle/port-metrics";
import { ManagerShell } from "@heddle/shell-manager";
import type { HostContext, SimHost, World } from "@heddle/sim";
import { type DiskPlan, SimulatedDisk } from "./simulated-disk.ts";

/** Where the manager of a simulated cluster listens. */
export const MANAGER = "manager:1";
/** Virtual time that it has for a polite end. */
const DRAIN_MS = 10_000;

/** A state in numbers: revision, sessions, owners, objects, bytes, locks held, jobs whose writes count once. */
export type StateNumbers = Readonly<Record<string, number>>;

const followed: ReadonlySet<string> = new Set(
  ["revision", "sessions", "owners", "objects", "data_bytes", "locks_held", "effects_jobs"].map(
    (each) => `heddle_manager_${each}`,
  ),
);

/** The real manager on a machine of a simulated world. */
export class SimulatedManager {
  readonly host: SimHost;
  readonly disk: SimulatedDisk;
  readonly #store: MemoryJournalStore;
  readonly #world: World;
  readonly #build: { readonly build: string; readonly nodeMajor: number };
  #shell: ManagerShell | undefined;

  /** Adds the machine `manager` to the world. */
  constructor(
    world: World,
    options: {
      readonly disk: DiskPlan;
      readonly mayCrash?: boolean;
      readonly build: string;
      readonly nodeMajor: number;
    },
  ) {
    const { disk: plan, mayCrash = false, build, nodeMajor } = options;
    this.#world = world;
    this.disk = new SimulatedDisk(world, { name: "manager's disk", plan, host: () => this.host });
    this.#build = { build, nodeMajor };
    this.#store = new MemoryJournalStore(this.disk.write);
    this.host = world.host("manager", (context) => this.#boot(context), { mayCrash });
  }

  /** What the live state is known by. */
  numbers(): StateNumbers {
    return numbersOf(this.#shell?.metrics() ?? []);
  }

  /** Replays the journal from its beginning, beside the manager that lives. Resolves with the numbers of the state that it gives. */
  async replayed(): Promise<StateNumbers> {
    const copy = new MemoryJournalStore();
    copy.records = [...this.#store.records];
    copy.firstPosition = this.#store.firstPosition;
    copy.snapshots = [...this.#store.snapshots];
    const env = { clock: this.#world.clock, random: this.#world.random("replay"), log: silentLogger };
    const shell = new ManagerShell({ env, journal: memoryJournal(copy), ...this.#build, pid: 1 });
    await shell.start();
    const numbers = numbersOf(shell.metrics());
    await shell.stop(DRAIN_MS);
    return numbers;
  }

  async #boot({ env, rpc, life }: HostContext): Promise<AsyncDisposable> {
    this.#store.kill();
    this.disk.mount(life);
    const journal = memoryJournal(this.#store);
    const shell = new ManagerShell({ env, journal, ...this.#build, pid: 1 });
    this.#shell = shell;
    void shell.failed.then(() => this.disk.restart(life));
    await shell.start();
    const scope = new AsyncDisposableStack();
    scope.use(journal);
    scope.use(await rpc.listen(MANAGER, shell.routes));
    scope.defer(() => shell.stop(DRAIN_MS));
    return scope;
  }
}

function numbersOf(metrics: readonly Metric[]): StateNumbers {
  return Object.fromEntries(
    metrics.flatMap(({ name, value }) =>
      followed.has(name) && typeof value === "number" ? [[name, value] as const] : [],
    ),
  );
}
