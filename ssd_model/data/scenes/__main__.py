from ssd_model.data.scenes.writer import main

if __name__ == "__main__":
    main()
