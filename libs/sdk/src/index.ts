import { provideFabrics } from "@heddle/client";
import { sharedFabric } from "./connect.ts";

export { connect } from "./connect.ts";
export * from "./exports.ts";
export { Pool } from "./pool.ts";
export { activeChildren, cpuCount, currentProcess, Process, parentProcess, wait } from "./process.ts";

provideFabrics(sharedFabric);
