import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { hostFacts } from "./host.ts";

/** What makes two agents different though nobody named them. */
export interface AgentIdentity {
  readonly host: string;
  readonly uid: number;
  readonly dataDir: string | undefined;
  /** Rank within a batch job, if there is one. */
  readonly rank: string | undefined;
}

const NAME_LENGTH_MAX = 63;

/** The name of the node of an agent that this user starts here, in this environment, without a name. */
export function ownNodeName(dataDir: string | undefined): string {
  const uid = process.getuid?.() ?? 0;
  const rank = process.env.SLURM_PROCID;
  return nodeNameOf({
    host: hostFacts().host,
    uid,
    dataDir: dataDir === undefined ? undefined : resolve(dataDir),
    rank,
  });
}

/** A legal node name that is the same at the next start: the machine's short name, and a digest of user, directory and rank. */
export function nodeNameOf(identity: AgentIdentity): string {
  const { host, uid, dataDir, rank } = identity;
  const digest = createHash("sha256")
    .update(JSON.stringify([host, uid, dataDir ?? "", rank ?? ""]))
    .digest("hex");
  const suffix = `-${digest.slice(0, 6)}`;
  const legal = (host.split(".")[0] ?? "").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const short = legal.slice(0, NAME_LENGTH_MAX - suffix.length).replaceAll(/^-+|-+$/g, "");
  return `${short === "" ? "node" : short}${suffix}`;
}
