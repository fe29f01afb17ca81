/**
 * Holds a lock of two seconds' lease at the fabric whose address it is given, says so, and then computes for three leases ("blocks"), or waits until it has
 * lost it ("waits"). It says what it finds, a line of JSON each.
 */
import { connect, Manager } from "heddle";

const [address, what] = process.argv.slice(2);
const TTL_MS = 2_000;
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

await using fabric = await connect(address);
await using manager = new Manager({ fabric, ttlMs: TTL_MS });
const list = manager.list<string>([], { name: "written" });
const lock = manager.lock({ name: "held" });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
let guard = await lock.acquire();
for (; what === "blocks"; guard = await lock.acquire()) {
  await pause(1.5 * TTL_MS); // it is still held then if the thread is at work, which a busy machine may take long to begin
  if (!guard.signal.aborted) break;
  await guard.release().catch(() => undefined);
}

if (what === "blocks") {
  say({ held: Number(guard.token) });
  const fromMs = performance.now();
  while (performance.now() < fromMs + 3 * TTL_MS);
  const isAborted = guard.signal.aborted;
  guard.assertHeld();
  await guard.run(() => list.append("after the block"));
  await guard.release();
  say({ isAborted, isHeld: true });
} else {
  let lastTickMs = performance.now();
  let resumedMs = 0;
  setInterval(() => {
    const nowMs = performance.now();
    if (nowMs > lastTickMs + TTL_MS / 2) resumedMs = nowMs;
    lastTickMs = nowMs;
  }, 5);
  const lost = new Promise<number>((resolve) => {
    guard.signal.addEventListener("abort", () => resolve(performance.now()));
  });
  say({ held: Number(guard.token) });
  const lostMs = await lost;
  await pause(50);
  const error = await guard.run(() => list.append("too late")).catch((thrown: Error) => thrown.name);
  say({ afterResumeMs: Math.abs(lostMs - resumedMs), error });
  process.exit(0);
}
