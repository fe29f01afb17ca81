import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, LimitError } from "heddle";
import { expect, test } from "vitest";
import { ServedManager } from "../../harness/served-manager.ts";
import { eventually, failure, settles } from "../../harness/waiting.ts";

/** A program's own view of mounts: what it mounts goes with it. */
const unshare = ["unshare", process.getuid?.() === 0 ? "-m" : "-rm"] as const;
const mount = 'mkdir -p "$1" && mount -t tmpfs -o size=2m tmpfs "$1"';
const [program, flag] = unshare;
const mayMount = spawnSync(program, [flag, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

test("a manager on a full disk refuses writes and nothing else: reads, locks and sessions go on; it writes again once there is space (D03)", async (context) => {
  if (!mayMount) return context.skip("a disk of 2 MiB takes the right to mount; the journal's quota stands in");
  await using served = await ServedManager.start({
    within: (directory) => [...unshare, "sh", "-c", `${mount} && shift && exec "$@"`, "sh", directory],
  });
  const filler = join(`/proc/${served.pid}/root`, served.directory, "data", "filler");
  writeFileSync(filler, new Uint8Array(700_000));
  await using fabric = await connect(await served.coordinates());
  await using manager = fabric.manager();
  await using other = fabric.manager();
  const list = manager.list<number>([], { name: "list" });
  const ballast = manager.list<Uint8Array>();
  const lock = manager.lock({ name: "lock" });
  const guard = await lock.acquire();
  const next = other.lock({ name: "lock" }).acquire();
  await other.connect();
  let kept = 0;
  const fill = async (): Promise<void> => {
    for (;;) {
      await ballast.append(new Uint8Array(10_000).fill(kept));
      await list.append(kept);
      kept++;
    }
  };
  const refusal = await failure(fill());
  expect(refusal).toBeInstanceOf(LimitError);
  expect(refusal).toMatchObject({ limitName: "DISK_SPACE" });
  expect(kept).toBeGreaterThan(5);
  expect(await list.toArray()).toEqual(Array.from({ length: kept }, (_, serial) => serial));
  guard.assertHeld();
  expect(await lock.locked()).toBe(true);
  rmSync(filler);
  await eventually("writes go on", async () => {
    const error = await list.append(kept).catch((thrown: unknown) => thrown);
    if (error === undefined) return true;
    expect(error).toMatchObject({ name: "LimitError", limitName: "DISK_SPACE" });
    return undefined;
  });
  expect(await list.toArray()).toEqual(Array.from({ length: kept + 1 }, (_, serial) => serial));
  expect(guard.signal.aborted).toBe(false);
  await guard.release();
  const theirs = await settles(next, () => "the next in line");
  expect(theirs.token).toBeGreaterThan(guard.token);
  await theirs.release();
}, 60_000);

test("a second manager on the directory of one that works ends and says who has it; that of one that was killed is taken over as it was (D06)", async () => {
  await using served = await ServedManager.start();
  await using fabric = await connect(await served.coordinates());
  await using manager = fabric.manager();
  const list = manager.list<number>([], { name: "list" });
  let [acknowledged, isOver] = [0, false];
  const writing = (async () => {
    for (; !isOver; acknowledged++) await list.append(acknowledged);
  })();
  const { pid } = served;
  const second = served.spawn(["--listen", `unix:${join(served.directory, "second.sock")}`]);
  const [code] = await settles(once(second, "exit"), () => served.complaints, 20_000);
  expect([code, served.complaints]).toEqual([1, expect.stringContaining(`process ${pid} owns the journal`)]);
  const soFar = acknowledged;
  await eventually("the first one goes on", () => acknowledged > soFar || undefined);
  await served.kill();
  await served.start();
  isOver = true;
  await writing;
  expect(await list.toArray()).toEqual(Array.from({ length: acknowledged }, (_, serial) => serial));
}, 60_000);
