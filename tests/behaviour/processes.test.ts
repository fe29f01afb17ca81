import { ProcessCluster } from "../harness/process-cluster.ts";
import { describeBehaviour, describeOutages } from "./suite.ts";

describeBehaviour("a fabric of processes", () => ProcessCluster.start());
describeOutages("a fabric of processes", () => ProcessCluster.start());
