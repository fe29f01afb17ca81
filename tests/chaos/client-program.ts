/** One of a run's clients: does what its lanes do until it is told to finish, and calls shared objects as it is told. Its argument: ClientSettings as JSON. */
import { type Random, seededRandom } from "@heddle/kernel";
import { connect, Manager } from "heddle";
import { CalledObjects } from "../harness/called-objects.ts";
import type { Wanted } from "../harness/caller.ts";
import { type ClientEvent, type ClientSettings, machineMs } from "./client-events.ts";
import { errorWords, serve, tell } from "./companion-side.ts";
import { attachKept, type KeptJob, submitKept } from "./kept-job.ts";
import { type Lane, type LaneContext, WrongResult } from "./lane.ts";
import { laneGroups } from "./lanes.ts";
import { vitals } from "./vitals.ts";

const settings = JSON.parse(process.argv[2] ?? "") as ClientSettings;
const { address, tlsDirectory, name, seed, ttlMs, unavailableTimeoutMs, pauseMsMax } = settings;
/** How often it tells of its progress. */
const PROGRESS_MS = 1_000;
/** After a refusal, so that a fault does not fill the log. */
const REFUSED_PAUSE_MS = 200;

const file = (part: string): string => `${tlsDirectory}/${part}`;
const tls = { caFile: file("ca.crt"), certFile: file("tls.crt"), keyFile: file("tls.key") };
const say = (event: ClientEvent): Promise<void> => tell(event);

const startMs = machineMs();
const done = new Map<string, number>();
const underWay = new Map<object, { readonly lane: string; readonly sinceMs: number }>();
const counters = new Map<string, { acknowledged: number; unknown: number }>();
const tally = { jobs: 0, items: 0, overtaken: 0 };
let isFinishing = false;

async function counted(key: string, change: { acknowledged?: number; unknown?: number }): Promise<void> {
  const counter = counters.get(key) ?? { acknowledged: 0, unknown: 0 };
  counters.set(key, counter);
  counter.acknowledged += change.acknowledged ?? 0;
  counter.unknown += change.unknown ?? 0;
  await say({ type: "counted", key, ...counter });
}

/** Does one thing and tells how it ended. */
async function attempt(lane: string, work: Lane, context: LaneContext): Promise<void> {
  const call = { lane, sinceMs: machineMs() };
  underWay.set(call, call);
  try {
    await work(context);
    done.set(lane, (done.get(lane) ?? 0) + 1);
  } catch (error) {
    if (error instanceof WrongResult) await say({ type: "wrong", lane, message: error.message });
    else await say({ type: "failed", lane, ...errorWords(error), fromMs: call.sinceMs, untilMs: machineMs() });
    await pause(REFUSED_PAUSE_MS);
  } finally {
    underWay.delete(call);
  }
}

/** Holds a lock for longer than a lease: from then on the thread that keeps leases runs, however long it took to start where everything starts at once. */
async function leaseIsKept(): Promise<void> {
  const lock = manager.lock({ name: `chaos start of ${name}` });
  for (let isKept = false; !isKept && !isFinishing; ) {
    const held = lock.run(async () => {
      await pause(1.1 * ttlMs);
    });
    isKept = await held.then(
      () => true,
      () => false,
    );
  }
  await lock.destroy().catch(() => undefined); // one object more, when the session is over
}

async function run(group: (typeof laneGroups)[number], context: LaneContext): Promise<void> {
  const { random } = context;
  if (group.some(([lane]) => lane === "lock")) await leaseIsKept();
  while (!isFinishing) {
    const [lane, work] = group[random.int(group.length)] ?? [];
    if (lane === undefined || work === undefined) throw new RangeError("a group of lanes has none");
    await attempt(lane, work, context);
    await pause(random.int(pauseMsMax));
  }
}

/** Closing says the first error that nobody has heard, of a write at any time of this life. */
async function close(closable: { readonly close: () => Promise<void> }): Promise<void> {
  const failed = (error: unknown): Promise<void> =>
    say({ type: "failed", lane: "close", ...errorWords(error), fromMs: startMs, untilMs: machineMs() });
  await closable.close().catch(failed);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function progress(): ClientEvent {
  const oldest = [...underWay.values()].toSorted((a, b) => a.sinceMs - b.sinceMs)[0];
  return {
    type: "progress",
    done: Object.fromEntries(done),
    tally: { ...tally },
    oldest: oldest && { lane: oldest.lane, ageMs: machineMs() - oldest.sinceMs },
  };
}

const fabric = await connect(address, { tls, unavailableTimeoutMs, timeoutMs: unavailableTimeoutMs });
const manager = new Manager({ fabric, ttlMs });
const pool = fabric.pool();
const objects = new CalledObjects(manager);
const contextOf = (random: Random): LaneContext => ({
  ...{ fabric, pool, manager, name, random, counted },
  leaseMs: ttlMs,
  once: (state) => say({ type: "once", ...state }),
  tally: (jobs, items) => {
    tally.jobs += jobs;
    tally.items += items;
  },
  overtaken: (attempts) => {
    tally.overtaken += attempts;
  },
});
const lanes = laneGroups.map((group, at) => run(group, contextOf(seededRandom(seed, `${name} ${at}`))));
setInterval(() => void say(progress()), PROGRESS_MS).unref();

serve({
  call: (wanted: Wanted) => objects.call(wanted),
  submitKept: (job: KeptJob) => submitKept(pool, manager, job).accepted(),
  attachKept: (job: KeptJob) => attachKept(fabric, job),
  vitals,
  /** Begins nothing more. Resolves when all that was begun is over, and everything is closed. */
  finish: async () => {
    isFinishing = true;
    await Promise.all(lanes);
    await pool.close();
    await pool.join();
    await close(manager);
    await close(fabric);
    await say(progress());
  },
});
await say({ type: "ready" });
