export { HandleRegistry } from "./handles.ts";
export { createFunctionLoader } from "./loader.ts";
export { createShipper, type ShipperOptions } from "./shipper.ts";
