import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { describeShared } from "./contract/shared.ts";
import { describeCoordination, describeLocks } from "./contract/shared-locks.ts";

const describers = [describeLocks, describeCoordination];

describeShared("locks of an embedded fabric", async () => new EmbeddedCluster(), describers);
describeShared("locks of workers on two agents", () => ProcessCluster.start({ manager: true }), describers);
