import { SimulatedCluster } from "../harness/simulated-cluster.ts";
import { describeBehaviour, describeOutages } from "./suite.ts";

describeBehaviour("a simulated fabric", () => Promise.resolve(new SimulatedCluster()));
describeOutages("a simulated fabric", () => Promise.resolve(new SimulatedCluster()));
