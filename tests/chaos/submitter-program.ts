/** A program that submits a detached job and leaves as soon as the fabric has it, unless it is killed before. Its argument: SubmitterSettings as JSON. */
import { connect, Manager } from "heddle";
import { machineMs } from "./client-events.ts";
import { errorWords, tell } from "./companion-side.ts";
import { type SubmitterSettings, submitKept } from "./kept-job.ts";

/** What it tells: when it begins, and how that ended. */
export type SubmitterEvent =
  | { readonly type: "begins" }
  | { readonly type: "accepted" }
  | {
      readonly type: "failed";
      readonly name: string;
      readonly message: string;
      readonly fromMs: number;
      readonly untilMs: number;
    };

const { address, tlsDirectory, ttlMs, unavailableTimeoutMs, job } = JSON.parse(
  process.argv[2] ?? "",
) as SubmitterSettings;
const say = (event: SubmitterEvent): Promise<void> => tell(event);
const file = (part: string): string => `${tlsDirectory}/${part}`;
const tls = { caFile: file("ca.crt"), certFile: file("tls.crt"), keyFile: file("tls.key") };

const fromMs = machineMs();
const orphaned = (): never => process.exit(0);
process.once("disconnect", orphaned);
await say({ type: "begins" });
try {
  const fabric = await connect(address, { tls, unavailableTimeoutMs, timeoutMs: unavailableTimeoutMs });
  const manager = new Manager({ fabric, ttlMs });
  await submitKept(fabric.pool({ processes: 2 }), manager, job).accepted();
  await say({ type: "accepted" });
} catch (error) {
  await say({ type: "failed", ...errorWords(error), fromMs, untilMs: machineMs() });
}
process.off("disconnect", orphaned);
process.disconnect(); // it ends by itself now
