import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { describeShared } from "./contract/shared.ts";
import { describeWrites } from "./contract/shared-writes.ts";

describeShared("writes on an embedded fabric", async () => new EmbeddedCluster(), [describeWrites]);
describeShared("writes of workers on two agents", () => ProcessCluster.start({ manager: true }), [describeWrites]);
