import workerpool from "workerpool";
import { cubes, objects, one, primes, samples } from "../chunk-tasks.ts";

workerpool.worker({ one, cubes, samples, primes, objects });
