/** Lets everybody else have their turn of the event loop: between two steps of long work. */
export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
