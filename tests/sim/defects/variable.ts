/** Environment variable that names the defect of a process. */
export const DEFECT_VARIABLE = 'SAI_SIM_DEFECT'
