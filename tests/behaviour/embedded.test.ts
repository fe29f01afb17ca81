import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { describeBehaviour } from "./suite.ts";

describeBehaviour("an embedded fabric", () => Promise.resolve(new EmbeddedCluster()));
