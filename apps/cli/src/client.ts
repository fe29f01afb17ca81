import { TimeoutError, UnavailableError } from "@heddle/kernel";
import { connect, type Fabric } from "heddle";
import type { Target } from "./targets.ts";

/** How long a command dials where nobody listens: a coordinator that is just starting is waited for. */
const START_TIMEOUT_MS = 1_000;
/** How long a coordinator may take to answer where nothing refuses the connection. */
const ANSWER_TIMEOUT_MS = 5_000;

/** Asks the fabric; the connection is closed afterwards. */
export async function withFabric<T>(target: Target, ask: (fabric: Fabric) => Promise<T>): Promise<T> {
  await using fabric = await reach(target);
  return await ask(fabric);
}

async function reach({ address, tls }: Target): Promise<Fabric> {
  const dial = (timeoutMs: number): Promise<Fabric> =>
    connect(address, { timeoutMs, ...(tls === undefined ? {} : { tls }) });
  try {
    return await dial(START_TIMEOUT_MS).catch((error: unknown) => {
      if (isSilent(error)) return dial(ANSWER_TIMEOUT_MS);
      throw error;
    });
  } catch (error) {
    if (!(error instanceof UnavailableError) || isSilent(error)) throw error;
    const hint = 'Start a fabric with "heddle up", or say where one is with --address or HEDDLE_ADDRESS.';
    throw new UnavailableError(`no coordinator answers at ${address}. ${hint}`, { cause: error });
  }
}

/** Nothing refused the connection, and nothing came of it. */
function isSilent(error: unknown): boolean {
  return error instanceof UnavailableError && error.cause instanceof TimeoutError;
}
