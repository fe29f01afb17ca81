export { SimFailure } from "./event-loop.ts";
export { calmPlan, drawMs, type FaultPlan, stormPlan, swarmPlan } from "./fault-plan.ts";
export type { Boot, HostContext, HostOptions, SimHost } from "./host.ts";
export type { Life } from "./life.ts";
export type { Envelope, Rule, Verdict } from "./network.ts";
export { ProcessTable, type SimProcess, type TaskContext } from "./process-table.ts";
export { SimWorkers, type SimWorkersOptions } from "./workers.ts";
export { createWorld, type RunReport, type World } from "./world.ts";
