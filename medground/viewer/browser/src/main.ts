// What Streamlit calls: once when the component is mounted, and again with new data after each run of the script.

import type { Component } from "./contract.ts";
import { Stage } from "./stage.ts";

const stages = new WeakMap<Component["parentElement"], Stage>();

export default function show(component: Component): () => void {
  const { parentElement } = component;
  let stage = stages.get(parentElement);
  if (stage) {
    stage.update(component);
  } else {
    stage = new Stage(component);
    stages.set(parentElement, stage);
  }
  if (!parentElement.contains(stage.root)) parentElement.append(stage.root);
  return () => {
    stages.get(parentElement)?.close();
    stages.delete(parentElement);
  };
}
