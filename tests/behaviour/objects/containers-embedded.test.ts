import { connect } from "heddle";
import { describeCells } from "./contract/cells.ts";
import { describeDicts } from "./contract/dicts.ts";
import { describeLists } from "./contract/lists.ts";
import { describeManagers } from "./contract/managers.ts";
import { describeObjects, type ObjectsRun } from "./contract/run.ts";
import { describeTransactions } from "./contract/transactions.ts";
import { describeWatches } from "./contract/watches.ts";

/** Two managers of the fabric embedded in this process. */
async function embedded(): Promise<ObjectsRun> {
  const fabric = await connect();
  return {
    fabric,
    manager: fabric.manager(),
    other: fabric.manager(),
    [Symbol.asyncDispose]: () => fabric.close(),
  };
}

describeObjects("containers of the embedded fabric", embedded, [
  describeLists,
  describeDicts,
  describeCells,
  describeTransactions,
  describeWatches,
  describeManagers,
]);
