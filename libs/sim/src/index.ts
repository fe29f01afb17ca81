export type { Mortal } from "./chaos.ts";
export { SimFailure } from "./event-loop.ts";
export { calmPlan, drawMs, type FaultPlan, stormPlan, swarmPlan } from "./fault-plan.ts";
export type { Boot, HostContext, HostOptions, SimHost } from "./host.ts";
export type { Life } from "./life.ts";
export type { Envelope, Rule, Verdict } from "./network.ts";
export { createWorld, type RunReport, type World } from "./world.ts";
