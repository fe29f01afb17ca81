import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { describeBadInput, describeKillers, describeSharpEdges } from "./contract/killers.ts";
import { describePool } from "./contract/pool.ts";

const describers = [describeKillers, describeSharpEdges, describeBadInput];

describePool("what kills an embedded pool's workers", async () => new EmbeddedCluster(), describers);
describePool("what kills workers on two agents", () => ProcessCluster.start(), describers);
