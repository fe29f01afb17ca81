import { UnavailableError } from "@heddle/kernel";
import { connect, type Fabric } from "heddle";
import type { Target } from "./targets.ts";

/** How long a coordinator may take to answer a command: one that is just starting is waited for. */
const CONNECT_TIMEOUT_MS = 1_000;

/** Asks the fabric; the connection is closed afterwards. */
export async function withFabric<T>(target: Target, ask: (fabric: Fabric) => Promise<T>): Promise<T> {
  await using fabric = await reach(target);
  return await ask(fabric);
}

async function reach({ address, tls }: Target): Promise<Fabric> {
  try {
    return await connect(address, { timeoutMs: CONNECT_TIMEOUT_MS, ...(tls === undefined ? {} : { tls }) });
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const hint = 'Start a fabric with "heddle up", or say where one is with --address or HEDDLE_ADDRESS.';
    throw new UnavailableError(`no coordinator answers at ${address}. ${hint}`, { cause: error });
  }
}
