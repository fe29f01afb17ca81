export { createFunctionLoader } from "./loader.ts";
export { createShipper, type ShipperOptions } from "./shipper.ts";
