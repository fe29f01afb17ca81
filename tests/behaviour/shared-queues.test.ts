import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { describeShared } from "./contract/shared.ts";
import { describePipes, describeQueues } from "./contract/shared-queues.ts";

const describers = [describeQueues, describePipes];

describeShared("queues and pipes of an embedded fabric", async () => new EmbeddedCluster(), describers);
describeShared("queues and pipes between two agents", () => ProcessCluster.start({ manager: true }), describers);
