import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { type Build, currentBuild, previousBuild, previousIsMissing } from "./builds.ts";
import { MixedFabric } from "./mixed-fabric.ts";

vi.setConfig({ testTimeout: 600_000 }); // servers and programs start a dozen times

const missing = await previousIsMissing();

const orders = [
  { name: "manager, coordinator, agents", servers: ["manager", "coordinator", "agent-1", "agent-2"] },
  { name: "agents, coordinator, manager", servers: ["agent-1", "agent-2", "coordinator", "manager"] },
] as const;

for (const application of ["previous", "current"] as const)
  for (const order of orders)
    test.skipIf(missing !== undefined)(
      `${order.name} are replaced by a newer build one after the other while a program of the ${application} build runs: no result, write or lock is lost${missing === undefined ? "" : ` (skipped: ${missing})`}`,
      async () => {
        const previous = await previousBuild();
        const directory = mkdtempSync(join(tmpdir(), "heddle-upgrade-"));
        onTestFinished(() => rmSync(directory, { recursive: true }));
        await using fabric = new MixedFabric(directory);
        for (const server of ["manager", "coordinator", "agent-1", "agent-2"] as const)
          await fabric.start(server, previous);
        const stop = join(directory, "stop");
        const program = await fabric.run(buildOf(application, previous), "application.ts", stop);
        for (const server of order.servers) await fabric.replace(server, currentBuild);
        writeFileSync(stop, "");
        expect(await program.said()).toEqual({ wrong: [], addedRight: true, notedRight: true, lockHeld: true });
        expect([...(await fabric.nodes())].sort()).toEqual([
          ["agent-1", "ready"],
          ["agent-2", "ready"],
        ]);
      },
    );

const buildOf = (name: Build["name"], previous: Build): Build => (name === "previous" ? previous : currentBuild);
