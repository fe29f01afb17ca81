import { type Fabric, Manager, NotFoundError } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { expectMarks, ledgerOf } from "../../harness/effects-ledger.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { eventually } from "../../harness/waiting.ts";
import * as tasks from "./once-tasks.ts";

vi.setConfig({ testTimeout: 120_000 }); // many processes start on a machine that may be busy

test("a detached call writes once, though its program, then its coordinator are gone in the middle; who attaches has its results, and the manager forgets it then", async () => {
  const count = 120;
  const cluster = await ProcessCluster.start({ manager: true, slots: 2, unavailableTimeoutMs: 60_000 });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const submitting = await cluster.fabric();
  const submitter = submitting.manager();
  const inputs = Array.from(
    { length: count },
    (_, n): Parameters<typeof tasks.markSlowly> => [ledgerOf(submitter, count, "kept"), n],
  );
  const call = submitting
    .pool()
    .starmapAsync(tasks.markSlowly, inputs, { effects: "once", detach: true, chunkSize: 3 });
  await call.accepted();
  cluster.vanishClient();
  const fabric = await cluster.fabric();
  const manager = new Manager({ fabric });
  onTestFinished(() => manager.close());
  const ledger = ledgerOf(manager, count, "kept");
  await eventually("some items", async () => ((await ledger.marks.size()) > 10 ? true : undefined));
  await cluster.replaceCoordinator();
  const marks = await cluster.drive(fabric.attach<string[]>(call.jobId).get());
  expect(marks).toHaveLength(count);
  await expectMarks(ledger, marks);
  await expectForgotten(fabric, call.jobId);
});

test("a detached call that nobody listens to writes once, though its program, then an agent and its coordinator are gone in the middle, and the manager forgets it at its end", async () => {
  const count = 120;
  const cluster = await ProcessCluster.start({ manager: true, slots: 2, unavailableTimeoutMs: 60_000 });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const submitting = await cluster.fabric();
  const submitter = submitting.manager();
  const inputs = Array.from(
    { length: count },
    (_, n): Parameters<typeof tasks.markSlowly> => [ledgerOf(submitter, count, "left"), n],
  );
  const call = submitting
    .pool()
    .starmapAsync(tasks.markSlowly, inputs, { effects: "once", detach: true, chunkSize: 3 });
  await call.accepted();
  cluster.vanishClient();
  const fabric = await cluster.fabric();
  const manager = new Manager({ fabric });
  onTestFinished(() => manager.close());
  const ledger = ledgerOf(manager, count, "left");
  await eventually("some items", async () => ((await ledger.marks.size()) > 10 ? true : undefined));
  cluster.killAgent(0);
  await cluster.replaceCoordinator();
  await expectForgotten(fabric, call.jobId); // before anybody attaches
  const marks = await cluster.drive(fabric.attach<string[]>(call.jobId).get());
  expect(marks).toHaveLength(count);
  await expectMarks(ledger, marks);
});

/** The manager comes to know nothing of the job. */
async function expectForgotten({ home }: Fabric, job: string): Promise<void> {
  const ask = { verb: "effects-settled", object: "", values: [home.encode(job)], numbers: [0, 1] } as const;
  const forgotten = (): Promise<true | undefined> =>
    home.live(ask, () => undefined).catch((error: unknown) => (error instanceof NotFoundError ? true : undefined));
  expect(await eventually("the manager forgets the job", forgotten)).toBe(true);
}
