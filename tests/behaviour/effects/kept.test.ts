import { type Fabric, Manager, NotFoundError } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { expectMarks, ledgerOf } from "../../harness/effects-ledger.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { eventually } from "../../harness/waiting.ts";
import * as tasks from "./once-tasks.ts";

vi.setConfig({ testTimeout: 120_000 }); // many processes start on a machine that may be busy

const COUNT = 120;

/** A detached call that has begun, whose program is gone; and another program, with its own view of what is written. */
async function leftBehind(name: string) {
  const cluster = await ProcessCluster.start({ manager: true, slots: 2, unavailableTimeoutMs: 60_000 });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const submitting = await cluster.fabric();
  const submitter = submitting.manager();
  const inputs = Array.from(
    { length: COUNT },
    (_, n): Parameters<typeof tasks.markSlowly> => [ledgerOf(submitter, COUNT, name), n],
  );
  const call = submitting
    .pool()
    .starmapAsync(tasks.markSlowly, inputs, { effects: "once", detach: true, chunkSize: 3 });
  await call.accepted();
  cluster.vanishClient();
  const fabric = await cluster.fabric();
  const manager = new Manager({ fabric });
  onTestFinished(() => manager.close());
  const ledger = ledgerOf(manager, COUNT, name);
  await eventually("some items", async () => ((await ledger.marks.size()) > 10 ? true : undefined));
  return { cluster, fabric, ledger, jobId: call.jobId };
}

test("a detached call writes once, though its program, then its coordinator are gone in the middle; who attaches has its results, and the manager forgets it then", async () => {
  const { cluster, fabric, ledger, jobId } = await leftBehind("kept");
  await cluster.replaceCoordinator();
  const marks = await cluster.drive(fabric.attach<string[]>(jobId).get());
  expect(marks).toHaveLength(COUNT);
  await expectMarks(ledger, marks);
  await expectForgotten(fabric, jobId);
});

test("a detached call that nobody listens to writes once, though its program, then an agent and its coordinator are gone in the middle, and the manager forgets it at its end", async () => {
  const { cluster, fabric, ledger, jobId } = await leftBehind("left");
  cluster.killAgent(0);
  await cluster.replaceCoordinator();
  await expectForgotten(fabric, jobId); // before anybody attaches
  const marks = await cluster.drive(fabric.attach<string[]>(jobId).get());
  expect(marks).toHaveLength(COUNT);
  await expectMarks(ledger, marks);
});

/** The manager comes to know nothing of the job. */
async function expectForgotten({ home }: Fabric, job: string): Promise<void> {
  const ask = { verb: "effects-settled", object: "", values: [home.encode(job)], numbers: [0, 1] } as const;
  const forgotten = (): Promise<true | undefined> =>
    home.live(ask, () => undefined).catch((error: unknown) => (error instanceof NotFoundError ? true : undefined));
  expect(await eventually("the manager forgets the job", forgotten)).toBe(true);
}
