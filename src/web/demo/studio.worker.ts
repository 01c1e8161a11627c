// The studio in a worker.
import { expose } from "comlink";
import { createStudio } from "./studio.ts";

expose(createStudio());
