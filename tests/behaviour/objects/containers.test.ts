import { connect } from "heddle";
import { EmbeddedCluster } from "../../harness/embedded-cluster.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { describeCells } from "../contract/cells.ts";
import { describeContainersInWorkers } from "../contract/containers-in-workers.ts";
import { describeDicts } from "../contract/dicts.ts";
import { describeLists } from "../contract/lists.ts";
import { describeManagers } from "../contract/managers.ts";
import { describeObjects, type ObjectsRun } from "../contract/objects-run.ts";
import { describeTransactions } from "../contract/transactions.ts";
import { describeWatches } from "../contract/watches.ts";

/** Two sessions with the manager inside of this process. */
async function embedded(): Promise<ObjectsRun> {
  const cluster = new EmbeddedCluster();
  const fabric = await cluster.fabric();
  return {
    fabric,
    manager: fabric.manager(),
    other: fabric.manager(),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

/** Two clients of a fabric of processes, and workers on two agents. */
async function served(): Promise<ObjectsRun> {
  const cluster = await ProcessCluster.start({ manager: true });
  const fabric = await cluster.fabric();
  const another = await connect(cluster.address);
  return {
    fabric,
    manager: fabric.manager(),
    other: another.manager(),
    [Symbol.asyncDispose]: async () => {
      await another.close();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

const all = [
  describeLists,
  describeDicts,
  describeCells,
  describeTransactions,
  describeWatches,
  describeManagers,
  describeContainersInWorkers,
];

describeObjects("containers of an embedded fabric", embedded, all);
describeObjects("containers of a fabric of processes", served, all);
