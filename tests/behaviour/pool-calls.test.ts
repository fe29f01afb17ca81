import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { describeCalls, describeLives, describeOptions, describePool, describeStreams } from "./contract/pool.ts";

const describers = [describeCalls, describeStreams, describeOptions, describeLives];

describePool("calls of an embedded pool", async () => new EmbeddedCluster(), describers);
describePool("calls of a pool on two agents", () => ProcessCluster.start(), describers);
