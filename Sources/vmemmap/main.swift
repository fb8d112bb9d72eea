import VmemmapTool

EntryPoint.main()
